"""Amounts: kept as millionths of a dollar, written as dollars."""

from decimal import Decimal

MICRO = Decimal(1_000_000)
MOST_DOLLARS = Decimal(1_000_000_000)
PLACES = 6


def micro_of(dollars: Decimal) -> int:
    """Give the millionths of a dollar."""
    return int(dollars * MICRO)


def decimal_of(micro_usd: int) -> Decimal:
    """Give the dollars, exactly."""
    return Decimal(micro_usd) / MICRO


def usd(micro_usd: int) -> str:
    """Write an amount in dollars, exactly: at least two decimals, and as many as it needs up to six."""
    whole, _, decimals = f"{decimal_of(micro_usd):.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def cost_text(micro_usd: int, unpriced: int) -> str:
    """Write what calls cost, of some of which nobody may know the price."""
    if not unpriced:
        return f"${usd(micro_usd)}"
    return f"${usd(micro_usd)} + unknown" if micro_usd else "price unknown"


def amounts(**micro_usd: int) -> dict[str, str | int]:
    """Give each amount twice, as `<name>_usd` for people and as `<name>_micro_usd` for sums."""
    both: dict[str, str | int] = {}
    for name, amount in micro_usd.items():
        both |= {f"{name}_usd": usd(amount), f"{name}_micro_usd": amount}
    return both
