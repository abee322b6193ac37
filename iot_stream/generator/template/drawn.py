"""The helpers for numbers, network addresses, places, prices and words that need no package.

Their names and arguments are those of awslabs/amazon-kinesis-data-generator, web/js/faker.js.
"""

import string
from collections.abc import Sequence
from functools import cache
from typing import Final

from iot_stream.generator.template import javascript
from iot_stream.generator.template.basic import each
from iot_stream.generator.template.column import Arguments, Builder, Column
from iot_stream.generator.template.words import WORDS

__all__ = ["HELPERS", "by_words"]

_IMAGES: Final = (
    *("abstract", "animals", "business", "cats", "city", "fashion", "food", "nature", "nightlife", "people"),
    *("sports", "technics", "transport"),
)


def by_words(words: Sequence[str]) -> Builder:
    """Return the builder of one of some words."""

    def build(arguments: Arguments) -> Column:
        return lambda times: arguments.series.choices(words, k=len(times))

    return build


def _joined(separator: str, *names: str) -> Builder:
    """Return the builder of several helpers' values in one text."""

    def build(arguments: Arguments) -> Column:
        columns = [HELPERS[name](arguments) for name in names]
        return lambda times: [separator.join(row) for row in zip(*(column(times) for column in columns), strict=True)]

    return build


def _of_text(default: str, digits: str) -> Builder:
    """Return the builder of a text whose `#` become digits, and with "#?" also its `?` letters."""

    def build(arguments: Arguments) -> Column:
        text = arguments.one('a text such as "###-####"', str, int, default=default)
        choice = arguments.series.choice
        kinds = {"#": string.digits, "?": string.ascii_uppercase} if "?" in digits else {"#": string.digits}
        pieces = [kinds.get(character, character) for character in str(text)]
        return each(lambda: "".join(piece if len(piece) == 1 else choice(piece) for piece in pieces))

    return build


def _zip_code(arguments: Arguments) -> Column:
    return _of_text("#####", "#?")(arguments)


def _digits(default: int) -> Builder:
    def build(arguments: Arguments) -> Column:
        takes = "a number of digits from 1 to 100"
        length = arguments.several(takes, (int,), (bool,), (bool,))[0] or default
        if not 0 < length <= 100:  # noqa: PLR2004 - as it says
            arguments.refuse(takes)
        choices = arguments.series.choices
        return each(lambda: "".join(choices(string.digits, k=length)))

    return build


def _amount(arguments: Arguments) -> Column:
    """Return whole amounts, 0 to 1,000, with two decimals: faker.js adds the decimals alone."""
    takes = 'smallest and largest amount, decimals and symbol, such as 1, 50, 2, "$"'
    minimum, maximum, decimals, symbol = arguments.several(takes, (int, float), (int, float), (int,), (str,))
    low, high, decimals = int(minimum or 0), int(maximum or 1000), 2 if decimals is None else decimals
    if low > high or not 0 <= decimals <= 100:  # noqa: PLR2004 - as toFixed takes it
        arguments.refuse(takes)
    randint = arguments.series.randint
    return each(lambda: f"{symbol or ''}{randint(low, high):.{decimals}f}")


def _coordinate(half: int) -> Builder:
    """Return the builder of a latitude or longitude with four decimals, up to `half` degrees."""

    def build(arguments: Arguments) -> Column:
        randint = arguments.series.randint
        return each(lambda: f"{randint(-half * 10_000, half * 10_000) / 10_000:.4f}")

    return build


def _nearby(arguments: Arguments) -> Column:
    """Return places within 10 km (by `radius`) of a coordinate, or of any: "latitude,longitude"."""
    takes = '{"coordinate": [latitude, longitude], "radius": kilometres}'
    given = arguments.one(takes, dict, default={})
    series, radius = arguments.series, given.get("radius", 10)
    coordinate = given.get("coordinate")
    if coordinate is not None and (not isinstance(coordinate, list) or len(coordinate) != 2):  # noqa: PLR2004 - a pair
        arguments.refuse(takes)
    try:
        center, degrees = coordinate and [*map(float, coordinate)], float(radius) / 111.2
    except (TypeError, ValueError):
        arguments.refuse(takes)

    def make() -> str:
        latitude, longitude = center or (series.uniform(-80, 80), series.uniform(-170, 170))
        north, east = series.uniform(-degrees, degrees) / 2, series.uniform(-degrees, degrees) / 2
        return f"{latitude + north:.4f},{longitude + east:.4f}"

    return each(make)


def _word(arguments: Arguments) -> Column:
    """Return one word of any kind; faker.js ignores the argument, a kind of word."""
    arguments.one("a kind of word", str)
    return by_words(_every_word())(arguments)


@cache
def _every_word() -> list[str]:
    modules = {"commerce", "finance", "hacker", "name"}
    return sorted({word for name, words in WORDS.items() if name.split(".")[0] in modules for word in words})


def _words(arguments: Arguments) -> Column:
    """Return words of any kind; as many as the argument says, or one to three."""
    takes = "a number of words from 1 to 1,000"
    count = arguments.one(takes, int)
    if count is not None and not 0 < count <= 1000:  # noqa: PLR2004 - as it says
        arguments.refuse(takes)
    series, every = arguments.series, _every_word()
    return each(lambda: " ".join(series.choices(every, k=count or series.randint(1, 3))))


def _ip(arguments: Arguments) -> Column:
    randbytes = arguments.series.randbytes
    return each(lambda: ".".join(map(str, randbytes(4))))


def _hexadecimal(pairs: int, prefix: str, separator: str) -> Builder:
    def build(arguments: Arguments) -> Column:
        randbytes = arguments.series.randbytes
        return each(lambda: prefix + (randbytes(pairs).hex(separator) if separator else randbytes(pairs).hex()))

    return build


def _password(arguments: Arguments) -> Column:
    takes = "a length from 1 to 1,000"
    length = arguments.several(takes, (int,), (bool,), (str,), (str,))[0] or 15
    if not 0 < length <= 1000:  # noqa: PLR2004 - as it says
        arguments.refuse(takes)
    choices = arguments.series.choices
    return each(lambda: "".join(choices(string.ascii_letters + string.digits, k=length)))


def _image(category: str | None) -> Builder:
    def build(arguments: Arguments) -> Column:
        choice = arguments.series.choice
        return each(lambda: f"http://lorempixel.com/640/480/{category or choice(_IMAGES)}")

    return build


def _semver(arguments: Arguments) -> Column:
    choices = arguments.series.choices
    return each(lambda: ".".join(choices(string.digits, k=3)))


def _session(arguments: Arguments) -> Column:
    randint = arguments.series.randint
    return each(lambda: str(randint(1007199254740991, 9007199254740991)))


def _bitcoin_address(arguments: Arguments) -> Column:
    series = arguments.series
    return each(
        lambda: (
            series.choice("13")
            + "".join(series.choices(string.digits + string.ascii_uppercase, k=series.randint(26, 33)))
        )
    )


def _phrase(arguments: Arguments) -> Column:
    choice = arguments.series.choice
    verb, adjective, short, noun = (WORDS[f"hacker.{kind}"] for kind in ("verb", "adjective", "abbreviation", "noun"))
    return each(lambda: f"Use the {choice(adjective)} {choice(short)} {choice(noun)}, then {choice(verb)} it!")


def _shuffle(arguments: Arguments) -> Column:
    data = arguments.one('a list such as ["a", "b"]', list, default=[])
    series = arguments.series
    return each(lambda: javascript.text(series.sample(data, len(data))))


def _slugify(arguments: Arguments) -> Column:
    text = arguments.one("a text", str, default="")
    slug = "".join(c for c in text.replace(" ", "-") if c.isalnum() or c in "_.-")
    return lambda times: [slug] * len(times)


HELPERS: Final[dict[str, Builder]] = {
    **{name: by_words(words) for name, words in WORDS.items()},
    **{f"image.{category}": _image(category) for category in _IMAGES},
    "address.latitude": _coordinate(90),
    "address.longitude": _coordinate(180),
    "address.nearbyGPSCoordinate": _nearby,
    "address.zipCode": _zip_code,
    "commerce.price": _amount,
    "commerce.productName": _joined(" ", "commerce.productAdjective", "commerce.productMaterial", "commerce.product"),
    "company.suffixes": by_words(("Inc,and Sons,LLC,Group",)),
    "finance.account": _digits(8),
    "finance.amount": _amount,
    "finance.bitcoinAddress": _bitcoin_address,
    "finance.mask": _digits(4),
    "hacker.phrase": _phrase,
    "helpers.replaceSymbolWithNumber": _of_text("", "#"),
    "helpers.replaceSymbols": _of_text("", "#?"),
    "helpers.shuffle": _shuffle,
    "helpers.slugify": _slugify,
    "image.avatar": _image("people"),
    "image.image": _image(None),
    "image.imageUrl": _image(None),
    "internet.avatar": _image("people"),
    "internet.color": _hexadecimal(3, "#", ""),
    "internet.ip": _ip,
    "internet.mac": _hexadecimal(6, "", ":"),
    "internet.password": _password,
    "internet.session": _session,
    "name.jobTitle": _joined(" ", "name.jobDescriptor", "name.jobArea", "name.jobType"),
    "name.title": _joined(" ", "name.jobDescriptor", "name.jobArea", "name.jobType"),
    "phone.phoneFormats": by_words(("###-###-####", "(###) ###-####", "1-###-###-####")),
    "phone.phoneNumber": _of_text("###-###-####", "#"),
    "random.image": _image(None),
    "random.word": _word,
    "random.words": _words,
    "system.commonFileName": _joined(".", "hacker.noun", "system.commonFileExt"),
    "system.semver": _semver,
}
"""Builders by the name of the helper."""
