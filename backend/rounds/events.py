"""The events that start rounds. Label Studio's are in capitals, ours in small letters, which no webhook may carry."""

START_TRAINING = "START_TRAINING"  # Label Studio's button, and its option to train on every submission
SUBMITTED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED")
ROUND_REQUESTED = "round requested"  # by `lsal round` or the dashboard
RESUMED = "resumed"  # after a pause: check whether a round is due
SETUP = "setup"  # /setup brought a new label config or options, which are compared with those of the last round
CANCEL = "cancel"  # end the running round
CANCELLED = "a person cancelled it"  # the error of the round that was ended by it
DAMAGED = "adapter damaged"  # the adapter in service could not be loaded, so an older one serves
ROLLBACK = "rollback"  # `lsal rollback`, which stored the adapter to go back to
FINISH = "finish"  # a request to label the rest by the model, or what to do with its labels
FIRST = "tasks put first"  # by a person: the queue in force does not begin with them yet
AHEAD = "ahead"  # texts of a large pool wait to be embedded
