"""Support tickets in English.

Each ticket has one true topic. Most also mention another topic, and some name their topic only indirectly, so that
single words do not determine the topic.
"""

from __future__ import annotations

from backend.demo.grammar import Grammar

# Sentences by topic. {x} is replaced by one of FILLERS["x"].
_WANTS = {
    "Refund": [
        "I returned {the_item} {weeks} ago and the money still has not come back to my card",
        "please give me my money back, {the_item} is not what was promised",
        "you took {amount} twice for the same purchase, reverse one of them",
        "I cancelled within the cooling-off period and expect {amount} in full",
        "the partial credit of {amount} is not enough, I sent everything back",
        "when does {amount} show up on my statement again now that {the_item} is with you?",
    ],
    "Delivery": [
        "{the_item} was due {weeks} ago and the tracking page has not moved since",
        "the courier says it was handed over but nobody here signed for {the_item}",
        "can {the_item} go to my office instead, I am away this week",
        "only half of the parcel arrived, {the_item} is missing from the box",
        "the driver left {the_item} in the rain by the bins",
        "it has been sitting in a depot in {city} for {weeks}",
    ],
    "Broken product": [
        "{the_item} stopped switching on after {weeks}",
        "there is a crack along the side of {the_item} and it rattles",
        "{the_item} gets far too hot to touch after ten minutes",
        "one of the buttons on {the_item} fell off when I first used it",
        "{the_item} makes a grinding noise and smells burnt",
        "the battery of {the_item} is flat again within an hour",
    ],
    "Login": [
        "the page keeps telling me my password is wrong although I have just changed it",
        "the code you text me never arrives so I cannot get in",
        "my profile is locked after three attempts and the link in the mail has expired",
        "I am thrown back to the start page each time I sign in",
        "I no longer have the phone that the confirmation goes to",
        "it says nobody with my address is registered, yet I get your newsletter",
    ],
    "Billing": [
        "I need the paper for {amount} with our VAT number on it for the accountants",
        "why did the monthly price go up to {amount} without any notice?",
        "the amount on the statement does not match the quote of {amount}",
        "please change the card that you charge each month, the old one runs out",
        "our bookkeeping wants all documents of last year in one file",
        "we are charged for nine seats but only seven people are left",
    ],
    "Cancellation": [
        "please end my plan at the end of this month",
        "I do not want it to renew, where do I switch that off?",
        "we are moving to another provider and no longer need the subscription",
        "stop the order for {the_item} before it goes out, I found it closer to home",
        "my mother has passed away and her contract must be closed",
        "I only meant to try it, take me off the list before the trial runs out",
    ],
    "How to": [
        "how do I connect {the_item} to the home network?",
        "is there a way to export everything as a spreadsheet?",
        "where can I set {the_item} to another language?",
        "can two people use {the_item} at the same time?",
        "I cannot find in the manual how to clean {the_item}",
        "which cable do I need so that {the_item} works with my television?",
    ],
    "Praise": [
        "just wanted to say that {the_item} is the best I have had in years",
        "your colleague {person} sorted everything out in five minutes, wonderful",
        "thank you, {the_item} arrived early and works like a dream",
        "I was about to give up and then {person} rang me back, what a service",
        "my children love {the_item}, well done to the whole team",
        "finally a company that answers, five stars from me",
    ],
}  # fmt: skip

_ASIDES = [
    "I have already restarted it twice.", "I paid with my credit card.", "The delivery itself was quick.",
    "My password is not the problem.", "I still have the invoice.", "It was a gift for my sister.",
    "I have been a customer since {year}.", "The manual was no help.", "Otherwise I am quite happy with you.",
    "{person} told me to write to you.", "I do not want to cancel because of this.", "I tried the app and the website.",
    "Please do not just send me a link.", "The refund last year went smoothly.", "I do like {the_item}, though.",
    "The parcel box was fine.", "I am writing from my phone, sorry for typos.", "My order number is {number}.",
]  # fmt: skip
_OPENINGS = [
    "Hello,", "Hi there,", "Good morning,", "Dear team,", "To whom it may concern:", "hey", "Second mail about this:",
    "", "", "",
]  # fmt: skip
_CLOSINGS = ["Thanks!", "Kind regards, {person}", "Please get back to me soon.", "Best, {person}", "", "", ""]
FILLERS = {
    "the_item": [
        "the kettle", "the blue headphones", "my new router", "the standing lamp", "the coffee machine", "the tablet",
        "the bread maker", "the rucksack", "the electric toothbrush", "the garden speaker", "the smart watch",
        "the vacuum robot", "the camera", "the e-reader", "the desk fan", "the baby monitor",
    ],
    "weeks": ["two weeks", "ten days", "a month", "nearly three weeks", "four days", "a week"],
    "amount": ["49.90", "120 euros", "$35", "18.50", "£79", "240", "9.99 a month", "$1,150"],
    "city": ["Leeds", "Lyon", "Porto", "Graz", "Austin", "Gdansk", "Utrecht"],
    "person": ["Amira", "Jonas", "Li Wei", "Priya", "Tom", "Sofia", "Mr Okafor", "Hanna"],
    "year": ["2009", "2014", "2018", "2021"],
    "number": ["88213", "40711-B", "A-1029", "7763520"],
}  # fmt: skip
TICKETS = Grammar(
    wants=_WANTS, frequency=(5, 6, 5, 4, 4, 3, 3, 2), asides=_ASIDES, openings=_OPENINGS, closings=_CLOSINGS,
    fillers=FILLERS,
)  # fmt: skip
TOPICS = TICKETS.topics
