"""Passwords that are guessed first, in both languages (ASVS 6.2.4).

A password is refused if it, or what is left without the digits and signs around it, stands here or
is one short piece repeated. Short entries are here for that second rule.
"""

from typing import Final

_WORDS: Final = """
password passwort passw0rd p@ssword p@ssw0rd pa$$word pass parole secret geheim letmein welcome
admin administrator root toor user username login guest master default changeme trustno iloveyou
monkey dragon sunshine princess football baseball superman batman starwars pokemon michael
jordan charlie shadow freedom whatever computer internet samsung google apple iphone
qwerty qwertyui qwertyuiop qwertz asdf asdfgh asdfghjkl zxcvbn zxcvbnm qazwsx qazwsxedc
qweasdzxc wasd poiuytrewq abc abcd abcdef abcdefgh abcabc aaaa
cellkey signature sign certificate token company office bank account accountant
parol gfhjkm privet ghbdtn lubov natasha marina svetlana tatyana andrey alexander vladimir
пароль парол логин админ администратор секрет привет любовь солнышко наташа марина светлана
татьяна андрей александр владимир россия москва спартак зенит динамо компьютер бухгалтер
бухгалтерия директор подпись сертификат ключ фирма компания офис банк
йцукен йцукенг йцукенгш йцукенгшщз фыва фывапр фывапролдж ячсмит ячсмитьбю йфяцыч абвгд абвгде
"""
_COMMON: Final = frozenset(_WORDS.split())

_RUNS: Final = ("01234567890123456789", "09876543210987654321", "abcdefghijklmnopqrstuvwxyz")
_AROUND: Final = "0123456789 !?.,:;-_+=*#@$%^&()[]{}<>/\\|'\"`~№"
_LONGEST_PIECE: Final = 4


def is_common(password: str) -> bool:
    """Tell whether a password is among the first that are guessed."""
    plain = password.casefold()
    core = plain.strip(_AROUND)
    return plain in _COMMON or core in _COMMON or _repeats(plain) or _runs(plain)


def _repeats(text: str) -> bool:
    pieces = range(1, _LONGEST_PIECE + 1)
    return any((text[:size] * len(text))[: len(text)] == text for size in pieces)


def _runs(text: str) -> bool:
    return any(text in run for run in _RUNS)
