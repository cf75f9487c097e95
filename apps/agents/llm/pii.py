"""Finding what names or pays a person in a text: e-mail addresses, phone, card and bank numbers."""

import re
from collections.abc import Iterator

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_DIGITS = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()./-]{0,2}\d){6,18}(?![\w])")
_DECIMAL = re.compile(r"\d+\.\d+")
FEWEST_OF_A_CARD, MOST_OF_A_CARD = 13, 19
FEWEST_OF_A_PHONE, MOST_OF_A_PHONE = 9, 15
LUHN_LARGEST = 9
IBAN_CHECK = 97


def found_in(text: str) -> Iterator[tuple[int, int, str]]:
    """Give begin, end and kind of each, in order; none overlaps another."""
    places = [(match.start(), match.end(), "email") for match in _EMAIL.finditer(text)]
    places += [(match.start(), match.end(), "bank number") for match in _IBAN.finditer(text) if _is_iban(match[0])]
    places += [(match.start(), match.end(), kind) for match in _DIGITS.finditer(text) if (kind := _kind(match[0]))]
    last = 0
    for begin, end, kind in sorted(places):
        if begin >= last:
            yield begin, end, kind
            last = end


def redacted(text: str) -> str:
    """Give the text with a word for the kind in the place of each."""
    parts, last = [], 0
    for begin, end, kind in found_in(text):
        parts += [text[last:begin], f"[{kind}]"]
        last = end
    return "".join([*parts, text[last:]])


def _kind(written: str) -> str | None:
    digits = re.sub(r"\D", "", written)
    if FEWEST_OF_A_CARD <= len(digits) <= MOST_OF_A_CARD and _is_card(digits):
        return "card number"
    if _DECIMAL.fullmatch(written):
        return None
    is_phone = written.startswith(("+", "(", "0")) and FEWEST_OF_A_PHONE <= len(digits) <= MOST_OF_A_PHONE
    return "phone number" if is_phone else None


def _is_card(digits: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1, Luhn)."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - LUHN_LARGEST if number > LUHN_LARGEST else number for number in doubled) % 10 == 0


def _is_iban(written: str) -> bool:
    """Whether the check digits are right (ISO 13616)."""
    plain = written.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % IBAN_CHECK == 1
