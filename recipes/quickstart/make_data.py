"""Writes the quickstart data: 320 customer messages, each with the queue that should get it.

The sender is a made-up cooperative that sells goods, energy, internet lines, bank cards and insurance
and runs a small hotel. Each of its eight queues takes in three kinds of matters. The queue's name gives
away the first, hints at the second and says nothing about the third: that is the company's convention,
which only its labelled messages show. Every matter has a long list of words of its own, most used once
or twice, and all matters share the sentence frames, so the words of a new message are often not among
those already labelled.

Not covered: wrong labels, mixed languages, messages that belong to two queues.

    python make_data.py [--out data.csv]
"""

import argparse
import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 20240517
MESSAGES_PER_QUEUE = 40
WORDS_MIN, WORDS_MAX = 7, 22
# Two messages may share at most this part of their words (Jaccard index of the word sets), so that
# none is a near copy of another.
OVERLAP_MAX = 0.5
TYPO_SHARE = 0.03
LOWER_CASE_SHARE = 0.4


@dataclass(frozen=True)
class Matter:
    """One kind of matter: its queue and the words that only it uses."""

    queue: str
    determiner: str  # goes before `things`: "my" or "the"
    things: tuple[str, ...]
    faults: tuple[str, ...]  # predicates that fit every thing
    verbs: tuple[str, ...]  # what the sender asks for, fits every thing
    extras: tuple[str, ...]  # further nouns, used after "the"


def matter(queue: str, determiner: str, *lists: str) -> Matter:
    """The matter with its four word lists, given as comma-separated text."""
    things, faults, verbs, extras = (tuple(w.strip() for w in one.split(",")) for one in lists)
    return Matter(queue, determiner, things, faults, verbs, extras)


MATTERS = (
    # parcels: delivery, customs, changes of address
    matter(
        "parcels",
        "my",
        "parcel, package, shipment, consignment, letter, dispatch",
        "never turned up, got lost in transit, is running late, went to a neighbour,"
        "was left outside the wrong door, is on its way for ever, got handed over too late",
        "deliver, forward, redeliver, track, ship",
        "courier, doorstep, tracking number, mailbox, letterbox, postman, delivery van, parcel locker",
    ),
    matter(
        "parcels",
        "the",
        "customs form, customs declaration, origin certificate, bill of lading, waybill, cargo list",
        "is held by the inspector, never got cleared, was sealed for inspection,"
        "is missing for the import, makes no sense for an export, names the wrong commodity",
        "declare, clear, stamp, file",
        "import duty, tariff, embargo, broker, port, border, clearance, trade agreement, container",
    ),
    matter(
        "parcels",
        "my",
        "address, surname, postcode, phone number, email address, profile, maiden name, date of birth",
        "is out of date by now, was misspelled, changed after I moved, belongs to someone else,"
        "still shows the old flat, looks wrong in your files",
        "update, change, correct, edit, amend, rename",
        "spelling, new flat, nickname, new home, moving box, contact detail, registry office",
    ),
    # billing: invoices, refunds and returns, meter readings
    matter(
        "billing",
        "the",
        "invoice, bill, charge, statement, total, line item, paper bill, amount due",
        "came out much higher, was issued twice, is off by ten pounds, is overdue in error,"
        "includes vat by mistake, falls due too soon",
        "itemise, query, reissue, defer, settle",
        "vat, due date, billing cycle, late fee, reminder letter, arrears, outstanding amount,"
        "payment plan, final demand, grace period",
    ),
    matter(
        "billing",
        "my",
        "refund, reimbursement, repayment, compensation, chargeback, credit note, store credit",
        "was refused, is owed for weeks, was only granted in part, has not been paid back,"
        "went to a closed account, covers just half of it",
        "credit, grant, pay back, give back",
        "overcharge, money back, return label, return slip, wrong size, restocking fee, exchange,"
        "unwanted gift, collection bag",
    ),
    matter(
        "billing",
        "the",
        "meter, reading, smart meter, consumption, usage graph, dial, unit used",
        "was misread, seems to run backwards, is nothing but an estimate, doubled since last winter,"
        "is nearly out of reach, is stuck at zero",
        "read, monitor, recalibrate, estimate, submit",
        "meter cupboard, meter reader, standing charge, kilowatt, gas bill, boiler, radiator",
    ),
    # access: login, identity check, parking
    matter(
        "access",
        "my",
        "password, login, username, passcode, sign-in page, account access, reset link,verification code",
        "got rejected as wrong, is locked after three tries, slipped my mind, is not recognised any more,"
        "keeps asking for a code, was forgotten",
        "reset, unlock, recover, remember",
        "security question, lockout, login screen, captcha, authenticator, activation mail,"
        "confirmation link, sign-up form",
    ),
    matter(
        "access",
        "my",
        "passport scan, identity card, selfie, proof of address, driving licence, document upload,"
        "photo check, signature, notarised copy",
        "came back as unreadable, is blurred at the edge, sat in review for days, was not taken as proof,"
        "expired while you looked, failed the identity check",
        "verify, upload, scan, authenticate, identify",
        "birth certificate, residence permit, certified copy, passport photo, visa, embassy,utility bill copy",
    ),
    matter(
        "access",
        "the",
        "parking space, permit, barrier, parking ticket, bay, ramp, car park, parking disc",
        "got blocked by some lorry, was too narrow, is kept for residents, was full at noon,"
        "is only free after six, got taken by a van",
        "assign, widen, park near, mark",
        "kerb, underground garage, valet, parking meter, number plate, clamp, reverse gear",
    ),
    # repairs: appliances under warranty, cars, clothes
    matter(
        "repairs",
        "my",
        "washing machine, kettle, toaster, fridge, dishwasher, tumble dryer, microwave, freezer",
        "broke after a week, stopped spinning, seems beyond repair, is beeping without end,"
        "iced up overnight, has a defect",
        "repair, mend, fix, replace, descale",
        "guarantee, warranty card, technician, spare part, service centre, proof of purchase, receipt,repair ticket",
    ),
    matter(
        "repairs",
        "my",
        "engine, gearbox, clutch, exhaust pipe, headlight, brake pad, car battery, windscreen",
        "makes a grinding noise, is leaking oil, is due for its inspection, rattles on the motorway,"
        "got dented in a crash, failed at the roundabout",
        "tune, lubricate, jack up, tow",
        "mechanic, oil change, spark plug, mileage, radiator hose, tyre, bumper, breakdown truck",
    ),
    matter(
        "repairs",
        "my",
        "dress, jacket, coat, skirt, blouse, sweater, sleeve, collar",
        "is torn at the back, seems far too tight, has unravelled, is creased for good,"
        "lost a button, pinches at the shoulder",
        "sew, hem, stitch, shorten, iron",
        "tailor, needle, thread, fabric, lining, zipper, pattern, scissors, wool",
    ),
    # network: internet, television, electricity
    matter(
        "network",
        "my",
        "router, wifi, broadband, modem, connection, hotspot, fibre line",
        "went offline, drops every hour or so, is painfully slow at night, blinks in red,"
        "got disconnected, has been down",
        "restart, reconnect, restore, reboot",
        "outage, bandwidth, signal light, cable, internet, data allowance, network mast, download",
    ),
    matter(
        "network",
        "the",
        "television, set-top box, decoder, satellite dish, antenna, remote control, channel, screen",
        "flickers, comes without sound, turned black and white, is scrambled again,went blank, shows no subtitle",
        "switch on, adjust, rewind, record with",
        "broadcast, tv guide, series, loudspeaker, film, comedy, presenter, satellite",
    ),
    matter(
        "network",
        "the",
        "fuse, socket, circuit breaker, light switch, transformer, generator, plug, wire",
        "has blown, was sparking, tripped once more, is without power, is live and dangerous,burnt out",
        "rewire, ground, power, switch off, insulate",
        "power cut, voltage, electricity meter, light bulb, chandelier, dimmer, street lamp",
    ),
    # guests: hotel rooms, meals, celebrations
    matter(
        "guests",
        "the",
        "room, suite, double bed, balcony, minibar, mattress, single room, pillow",
        "was too noisy to rest, had not been made up, faces the courtyard, is smaller than the picture showed,"
        "was dusty, is still damp",
        "upgrade, tidy, air, vacuum, freshen",
        "reception, receptionist, key card, porter, concierge, lobby, sea view, sauna, towel, linen",
    ),
    matter(
        "guests",
        "the",
        "starter, main course, dessert, soup, steak, side dish, dish of the day, salmon",
        "was undercooked, is too salty, came without the sauce, may contain gluten,"
        "was served lukewarm, tasted delicious",
        "serve, season, reheat, taste",
        "waiter, waitress, menu, chef, corner table, tablecloth, wine list, allergy, high chair, candle",
    ),
    matter(
        "guests",
        "the",
        "birthday, wedding, anniversary, surprise party, reunion, farewell party, housewarming",
        "grew to forty people, should end with a firework, needs a singer,"
        "is meant to be festive, has no balloon yet, will be a surprise",
        "celebrate, host, toast, organise",
        "bouquet, champagne, birthday cake, ribbon, invitation, greeting card, present, orchestra",
    ),
    # security: fraud, bank cards, damage to an insured home
    matter(
        "security",
        "the",
        "suspicious payment, phishing mail, scam, fake website, forged cheque, swindle, unknown caller",
        "looks like a hacker at work, came from a stranger, was not my doing, seems forged to me,"
        "fooled me, wants my secret code",
        "investigate, report, trace, dispute",
        "fraudster, thief, stolen identity, intruder, police officer, detective, crime, ransom note",
    ),
    matter(
        "security",
        "my",
        "debit card, credit card, chip card, contactless card, spare card, card number",
        "was swallowed by the machine, got declined, is bent, was lost on a bus,"
        "refuses to work abroad, expires too soon",
        "block, freeze, activate, swipe",
        "cash machine, magnetic strip, keypad, card reader, pin letter, cardholder, banknote,withdrawal, card terminal",
    ),
    matter(
        "security",
        "my",
        "ceiling, cellar, roof tile, carpet, chimney, attic, window, wall",
        "was flooded, is soaked, blew off in the storm, was ruined by smoke, is full of mould,suffered from hail",
        "insure, dry out, board up, pump out, assess",
        "claim, loss adjuster, assessor, payout, burst pipe, burglary, policy, excess, premium, eyewitness",
    ),
    # feedback: suggestions, complaints, cancellations
    matter(
        "feedback",
        "my",
        "suggestion, idea, proposal, opinion, improvement, comment card, wish",
        "is worth a thought, seems open to debate, would be easy to try, was left out of the poll,"
        "deserves some thought, is missing from the list",
        "consider, rate, rethink, comment on",
        "survey, questionnaire, poll, suggestion box, rating, review, newsletter",
    ),
    matter(
        "feedback",
        "the",
        "rude agent, supervisor, clerk, salesperson, cashier, manager, operator, assistant",
        "broke a promise, was appalling, ignored me for weeks, made one excuse after another,"
        "gave me no apology, behaved like a disgrace",
        "criticise, complain about, object to, warn",
        "grievance, objection, ombudsman, disappointment, bad experience, poor service, letdown, insult",
    ),
    matter(
        "feedback",
        "my",
        "subscription, membership, monthly plan, trial, premium plan, contract, family plan",
        "is no longer needed, renewed by itself, runs until june, should end this month,"
        "is not wanted any longer, was due to lapse",
        "cancel, terminate, call off, end, withdraw from",
        "notice period, exit fee, cooling-off period, opt-out, leaving date, cancellation, renewal,withdrawal form",
    ),
)

# Slots: {d} determiner, {t} thing, {p} predicate, {v} verb, {e} further noun.
CORES = (
    "it turns out that {d} {t} {p}, which brings me to the {e}",
    "reason for my message: {d} {t} {p} and nobody mentions the {e}",
    "{d} {t} {p}, so where does that leave the {e}",
    "since yesterday I know that {d} {t} {p}, never mind the {e}",
    "what do we do about the {e} now that {d} {t} {p}",
    "they told us {d} {t} {p}, and next came the {e}",
    "would you kindly {v} {d} {t} and look into the {e} as well",
    "I was hoping somebody might {v} {d} {t} because of the {e}",
    "how does one {v} {d} {t} without the {e}",
    "before anyone can {v} {d} {t}, what happens with the {e}",
    "either you {v} {d} {t} or you deal with the {e}",
    "from what I can see {d} {t} {p}",
    "would it be normal that {d} {t} {p}",
    "once again {d} {t} {p} and I am puzzled",
    "I would be glad if you could {v} {d} {t} at some point",
    "who in your team is able to {v} {d} {t}",
    "must I do it myself, or will you {v} {d} {t}",
    "one of them {p}, and I wonder about the {e}",
    "the one I got {p}, hence my message on the {e}",
    "we only said that it {p}, not a word on the {e}",
    "there seems to be a mix-up between {d} {t} and the {e}",
    "all I know about {d} {t} is what the {e} told me to expect",
)
OPENINGS = (
    "", "", "", "hello,", "good morning,", "hi team,", "dear all,", "good evening,", "hey there,",
    "quick one:", "greetings,", "hello again,", "morning everybody,", "hi,", "to the right team:",
    "if I may,", "good day,", "me again,",
)  # fmt: skip
CLOSINGS = (
    "", "", "", "thanks", "many thanks in advance", "what now?", "do keep me posted", "any ideas?",
    "kind regards, Ellen", "who takes this on?", "I am all ears", "over to you", "cheers, Tom",
    "have you some advice?", "best wishes, Mara", "thank you both", "hope that makes sense",
    "please pass it on", "yours, J. Okoye", "I rely on you", "so far so good", "bye for now",
)  # fmt: skip

Deck = Callable[[], str]


def deck(items: Sequence[str], rng: random.Random) -> Deck:
    """A function that deals the items in random order and reshuffles when all have been dealt."""
    left: list[str] = []

    def deal() -> str:
        if not left:
            left.extend(rng.sample(list(items), len(items)))
        return left.pop()

    return deal


def word_set(text: str) -> frozenset[str]:
    """The lower-cased words of a text, without punctuation at their ends."""
    return frozenset(word.strip(".,:?").lower() for word in text.split())


def sentence_case(text: str) -> str:
    """The text with a capital at its start and after each full stop or question mark."""
    parts = [part[:1].upper() + part[1:] for part in text.split(". ")]
    return ". ".join(parts)


def assemble(opening: str, core: str, closing: str) -> str:
    """One message in normal spelling: opening, main sentence, closing sentence."""
    question = core.startswith(("what", "how", "who", "would", "must", "before"))
    mark = "?" if question or "where does" in core else "."
    body = f"{opening} {core}{mark}".strip()
    if not closing:
        return sentence_case(body)
    end = closing if closing[-1] == "?" else f"{closing}."
    return f"{sentence_case(body)} {sentence_case(end)}"


def misspell(text: str, frame: str, rng: random.Random) -> str:
    """The text with two letters swapped in one word that comes from the sentence frame."""
    words = text.split()
    spots = [i for i, word in enumerate(words) if word.isalpha() and len(word) > 4 and word in frame]
    if not spots:
        return text
    spot, at = rng.choice(spots), rng.randrange(1, 3)
    word = words[spot]
    words[spot] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def finish(text: str, frame: str, rng: random.Random) -> str:
    """The text as a hurried customer may type it: sometimes lower case, seldom with a typo."""
    if rng.random() < TYPO_SHARE:
        text = misspell(text, frame, rng)
    return text.lower().rstrip(".") if rng.random() < LOWER_CASE_SHARE else text


def far_from_all(text: str, taken: Sequence[frozenset[str]]) -> bool:
    """Whether the text shares few enough words with every earlier message."""
    words = word_set(text)
    return all(len(words & other) <= OVERLAP_MAX * len(words | other) for other in taken)


def write_message(one: Matter, words: dict[str, Deck], frames: dict[str, Deck]) -> tuple[str, str]:
    """One message on the matter and the core frame it was made from."""
    frame = frames["core"]()
    slots = {slot: deal() for slot, deal in words.items() if "{" + slot + "}" in frame}
    return frame.format(d=one.determiner, **slots), frame


def matter_messages(
    one: Matter, count: int, frames: dict[str, Deck], taken: list[frozenset[str]], rng: random.Random
) -> list[str]:
    """`count` messages on one matter, each far enough from all messages so far."""
    lists = {"t": one.things, "p": one.faults, "v": one.verbs, "e": one.extras}
    words = {slot: deck(items, rng) for slot, items in lists.items()}
    messages: list[str] = []
    while len(messages) < count:
        core, frame = write_message(one, words, frames)
        text = assemble(frames["opening"](), core, frames["closing"]())
        if WORDS_MIN <= len(text.split()) <= WORDS_MAX and far_from_all(text, taken):
            taken.append(word_set(text))
            messages.append(finish(text, frame, rng))
    return messages


def make_rows(seed: int = SEED) -> list[tuple[str, str]]:
    """All (text, label) rows in random order, the same number for every queue."""
    rng = random.Random(seed)
    frames = {
        "core": deck(CORES, rng),
        "opening": deck(OPENINGS, rng),
        "closing": deck(CLOSINGS, rng),
    }
    taken: list[frozenset[str]] = []
    rows: list[tuple[str, str]] = []
    for queue in dict.fromkeys(one.queue for one in MATTERS):
        members = [one for one in MATTERS if one.queue == queue]
        for place, one in enumerate(members):
            count = len(range(place, MESSAGES_PER_QUEUE, len(members)))
            rows += [(text, queue) for text in matter_messages(one, count, frames, taken, rng)]
    rng.shuffle(rows)
    return rows


def main() -> None:
    """Writes the CSV file, UTF-8 with Unix line ends."""
    parser = argparse.ArgumentParser(description="Write the quickstart messages as CSV.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("data.csv"))
    out: Path = parser.parse_args().out
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(make_rows())


if __name__ == "__main__":
    main()
