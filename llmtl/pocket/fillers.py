"""Draw words that carry no concept: people, places, times, amounts, codes. Not covered: real companies or numbers."""

from random import Random

PEOPLE = (
    "anna", "ben", "carla", "david", "elena", "frank", "grace", "hugo", "irina", "james", "karim", "laura",
    "marco", "nina", "oscar", "paula", "quentin", "rosa", "samuel", "tina", "umar", "vera", "walter", "xenia",
    "yusuf", "zoe", "alice", "bruno", "chloe", "dmitri", "emma", "felix", "gita", "henry", "ines", "jonas",
    "kate", "leo", "maria", "noah", "olga", "peter", "ruth", "stefan", "tara", "viktor", "wendy", "adam",
    "bella", "colin", "diana", "erik", "fiona", "george", "hanna", "ivan", "julia",
)  # fmt: skip
SURNAMES = (
    "adler", "baker", "carter", "dalton", "evans", "fisher", "garcia", "hansen", "ivanov", "jensen", "keller",
    "larsen", "meyer", "novak", "olsen", "parker", "quinn", "rossi", "silva", "turner", "vogel", "weber",
    "young", "ziegler", "brown", "costa", "dubois", "eriksen", "ferrari", "gomez",
)  # fmt: skip
PLACES = (
    "paris", "london", "berlin", "madrid", "rome", "vienna", "oslo", "dublin", "prague", "lisbon", "athens",
    "warsaw", "milan", "geneva", "lyon", "porto", "bergen", "ghent", "turin", "leeds", "bristol", "hamburg",
    "munich", "zurich", "boston", "chicago", "denver", "austin", "toronto", "sydney", "tokyo", "delhi", "cairo",
    "lima", "quito", "nairobi", "lagos", "hanoi", "seoul", "dubai",
)  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
COMPANIES = tuple(
    f"{first} {last}"
    for first in (
        "Northwind",
        "Bluefield",
        "Redstone",
        "Silverline",
        "Oakwood",
        "Sunrise",
        "Harbor",
        "Summit",
        "Delta",
        "Vertex",
    )
    for last in ("Ltd", "Group", "Systems", "Partners", "Trading", "Labs")
)
_WORD_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "ten", "twelve", "twenty")


def code(rng: Random) -> str:
    """Make up a reference code such as `KX-4821`."""
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.choice((1, 2, 3))))
    return f"{letters}{rng.choice(('-', '', '-'))}{rng.randrange(10, 9999)}"


def amount(rng: Random) -> str:
    """Make up an amount of money, such as `$45` or `45 euros`."""
    value = str(rng.randrange(2, 900)) if rng.random() < 0.6 else f"{rng.randrange(1, 300)}.{rng.randrange(10, 99)}"
    return rng.choice(("{} euros", "${}", "{} dollars", "{} pounds", "EUR {}", "{} usd")).format(value)


def person(rng: Random) -> str:
    """Make up a first name, sometimes with a surname, sometimes in lower case."""
    name = rng.choice(PEOPLE)
    if rng.random() < 0.3:
        name += " " + rng.choice(SURNAMES)
    return name.title() if rng.random() < 0.8 else name


def day(rng: Random) -> str:
    """Draw a weekday or a date."""
    if rng.random() < 0.7:
        name = rng.choice(DAYS)
        return name.title() if rng.random() < 0.7 else name
    return f"{rng.randrange(1, 29)} {rng.choice(MONTHS).title()}"


def clock(rng: Random) -> str:
    """Make up a time of day, such as `9 am`."""
    if rng.random() < 0.5:
        return rng.choice(("noon", "midnight", "lunch", "breakfast", "dinner", "work", "five", "six", "nine"))
    return f"{rng.randrange(1, 13)}{rng.choice((' pm', ' am', ':30', ':15', ':00'))}"


def email(rng: Random) -> str:
    """Make up an address in a domain reserved for examples (RFC 2606)."""
    return f"{rng.choice(PEOPLE)}@{rng.choice(('example.com', 'example.org', 'mail.example.net'))}"


def phone(rng: Random) -> str:
    """Make up a telephone number of the 555-01xx kind that is kept for fiction."""
    return f"555-01{rng.randrange(10, 99)}"


def place(rng: Random) -> str:
    """Draw a town, sometimes in lower case."""
    name = rng.choice(PLACES)
    return name.title() if rng.random() < 0.85 else name


def draw(slot: str, rng: Random) -> str:
    """Fill a neutral slot. An unknown slot raises KeyError."""
    return _MAKERS[slot](rng)


def number(rng: Random) -> str:
    """Make up a small number, as a word or in digits."""
    return rng.choice(_WORD_NUMBERS) if rng.random() < 0.5 else str(rng.randrange(2, 60))


def company(rng: Random) -> str:
    """Draw an invented company."""
    return rng.choice(COMPANIES)


_MAKERS = {
    "who": person,
    "place": place,
    "day": day,
    "time": clock,
    "number": number,
    "amount": amount,
    "code": code,
    "company": company,
    "email": email,
    "phone": phone,
}
