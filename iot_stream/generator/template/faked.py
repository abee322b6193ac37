"""The helpers for people, places, companies and texts: the rest of faker.js, with the package Faker.

Their names and arguments are those of awslabs/amazon-kinesis-data-generator, web/js/faker.js; the values are of the
same kind, but not the same words. Faker is loaded with the first template that uses one of these helpers.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from iot_stream.generator.template.column import Arguments, Builder, Column
from iot_stream.generator.template.drawn import by_words

if TYPE_CHECKING:
    from faker import Generator

__all__ = ["HELPERS"]

# Helpers without an argument, by the method of Faker that makes the same kind of value.
_FAKER: Final = {
    "address.city": "city",
    "address.cityPrefix": "city_prefix",
    "address.citySuffix": "city_suffix",
    "address.country": "country",
    "address.countryCode": "country_code",
    "address.secondaryAddress": "secondary_address",
    "address.state": "state",
    "address.stateAbbr": "state_abbr",
    "address.streetAddress": "street_address",
    "address.streetName": "street_name",
    "address.streetSuffix": "street_suffix",
    "commerce.color": "safe_color_name",
    "company.bs": "bs",
    "company.catchPhrase": "catch_phrase",
    "company.companyName": "company",
    "company.companySuffix": "company_suffix",
    "finance.currencyCode": "currency_code",
    "finance.currencyName": "currency_name",
    "finance.currencySymbol": "currency_symbol",
    "internet.domainName": "domain_name",
    "internet.domainSuffix": "tld",
    "internet.domainWord": "domain_word",
    "internet.email": "email",
    "internet.exampleEmail": "email",
    "internet.userAgent": "user_agent",
    "internet.userName": "user_name",
    "lorem.word": "word",
    "name.lastName": "last_name",
    "name.findName": "name",
    "name.prefix": "prefix",
    "name.suffix": "suffix",
    "phone.phoneNumberFormat": "phone_number",
    "system.directoryPath": "file_path",
    "system.fileExt": "file_extension",
    "system.fileName": "file_name",
    "system.filePath": "file_path",
    "system.mimeType": "mime_type",
}


@cache
def _generator() -> "Generator":
    from faker.factory import Factory  # noqa: PLC0415 - a third of a second

    return Factory.create("en_US")


def _faked(arguments: Arguments, make: Callable[[Any], str]) -> Column:
    """Return a column of what `make` gets from Faker, drawn from the call's own series."""
    generator, series = _generator(), arguments.series

    def column(times: Sequence[int]) -> list[str]:
        generator.random = series
        return [str(make(generator)) for _ in times]

    return column


def _by_faker(method: str) -> Builder:
    def build(arguments: Arguments) -> Column:
        return _faked(arguments, lambda faker: getattr(faker, method)())

    return build


def _first_name(arguments: Arguments) -> Column:
    gender = arguments.one("0 for a male or 1 for a female name", int)
    method = {0: "first_name_male", 1: "first_name_female"}.get(gender, "first_name")
    return _faked(arguments, lambda faker: getattr(faker, method)())


def _url(arguments: Arguments) -> Column:
    choice = arguments.series.choice
    return _faked(arguments, lambda faker: f"{choice(('http', 'https'))}://{faker.domain_name()}")


def _lorem(unit: str, default: tuple[int, int]) -> Builder:
    """Return the builder of some words, sentences or paragraphs: as many as the argument says."""

    def build(arguments: Arguments) -> Column:
        takes = f"a number of {unit}s from 1 to 1,000, and a text between them"
        count, separator = arguments.several(takes, (int,), (str,))
        if count is not None and not 0 < count <= 1000:  # noqa: PLR2004 - as it says
            arguments.refuse(takes)
        joint = (" " if unit != "paragraph" else "\n \r") if separator is None else separator
        randint = arguments.series.randint
        return _faked(
            arguments,
            lambda faker: joint.join(getattr(faker, unit)() for _ in range(count or randint(*default))),
        )

    return build


def _sentence(arguments: Arguments) -> Column:
    count = arguments.several("a number of words", (int,), (int,))[0]
    randint = arguments.series.randint
    return _faked(arguments, lambda faker: faker.sentence(count or randint(3, 10), variable_nb_words=False))


def _company_words(attribute: str, position: int) -> Builder:
    def build(arguments: Arguments) -> Column:
        from faker.providers.company.en_US import Provider  # noqa: PLC0415 - as slow as Faker

        return by_words(getattr(Provider, attribute)[position])(arguments)

    return build


HELPERS: Final[dict[str, Builder]] = {
    **{name: _by_faker(method) for name, method in _FAKER.items()},
    "company.bsAdjective": _company_words("bsWords", 1),
    "company.bsBuzz": _company_words("bsWords", 0),
    "company.bsNoun": _company_words("bsWords", 2),
    "company.catchPhraseAdjective": _company_words("catch_phrase_words", 0),
    "company.catchPhraseDescriptor": _company_words("catch_phrase_words", 1),
    "company.catchPhraseNoun": _company_words("catch_phrase_words", 2),
    "internet.url": _url,
    "lorem.lines": _lorem("sentence", (1, 5)),
    "lorem.paragraph": _lorem("sentence", (3, 6)),
    "lorem.paragraphs": _lorem("paragraph", (3, 3)),
    "lorem.sentence": _sentence,
    "lorem.sentences": _lorem("sentence", (2, 6)),
    "lorem.text": _lorem("sentence", (1, 5)),
    "lorem.words": _lorem("word", (3, 3)),
    "name.firstName": _first_name,
}
"""Builders by the name of the helper."""
