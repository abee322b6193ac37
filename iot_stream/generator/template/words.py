"""Words for helpers that the package Faker lacks: shops, hackers, jobs, accounts, counties."""

from typing import Final

__all__ = ["WORDS"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_JOB_LEVELS: Final = _words("Operations Quality Safety Logistics Maintenance Energy Security Network Data Facilities")
_ADJECTIVES: Final = _words("Compact Durable Quiet Modern Simple Bright Robust Smooth Light Classic Practical Smart")

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "address.county": _words("Avon Cumbria Devon Dorset Essex Kent Norfolk Somerset Suffolk Surrey"),
    "address.streetPrefix": _words("North East South West"),
    "commerce.department": _words("Books Garden Grocery Health Home Music Shoes Sports Tools Toys"),
    "commerce.product": _words("Bag Chair Desk Fan Heater Lamp Pump Sensor Shelf Table Valve Watch"),
    "commerce.productAdjective": _ADJECTIVES,
    "commerce.productMaterial": _words("Bamboo Ceramic Copper Cotton Glass Granite Leather Plastic Rubber Steel"),
    "finance.accountName": (
        "Checking Account", "Savings Account", "Credit Card Account", "Investment Account", "Home Loan Account",
    ),
    "finance.transactionType": _words("deposit invoice payment withdrawal"),
    "hacker.abbreviation": _words("API CPU DNS HTTP IP JSON LAN RAM SQL SSL TCP USB XML"),
    "hacker.adjective": _words("auxiliary digital mobile multi-byte neural optical redundant virtual wireless"),
    "hacker.ingverb": _words("bypassing compressing copying encrypting indexing parsing scanning transmitting"),
    "hacker.noun": _words("alarm array bus card circuit driver feed firewall matrix monitor panel port sensor"),
    "hacker.verb": _words("bypass compress copy encrypt index navigate parse program reboot scan transmit"),
    "internet.protocol": ("http", "https"),
    "name.jobArea": _JOB_LEVELS,
    "name.jobDescriptor": _words("Chief Deputy Global Junior Lead Principal Regional Senior"),
    "name.jobType": _words("Administrator Analyst Architect Consultant Engineer Manager Planner Technician"),
    "random.locale": _words("de en en_GB en_US es fr it ja ko nl pl pt_BR ru sv tr"),
    "system.commonFileExt": _words("gif htm jpe m2a mp4 pdf png wav"),
    "system.commonFileType": _words("application audio image text video"),
    "system.fileType": _words("application audio image text video"),
}  # fmt: skip
"""Words by the helper that chooses one of them."""
