"""The active-learning round of a project, and what operators can request of it. Knows no Flask.

engine/      runs rounds: worker process, durable workflow, notifier, retries
steps/       one file a step of a round, in the order of engine/step_order.py
selection/   which strategy selects, and how its pool is made
quality/     how good the model is, and when to stop
insights/    what people read about labels and selected tasks
connection/  the project in Label Studio: repair, disconnect, compare
"""
