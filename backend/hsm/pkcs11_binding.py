"""The traps of python-pkcs11 0.10, mended in one place (reference: hsm.md 1).

1. It calls ``C_Initialize(NULL)``, which promises a single thread, and then lets many threads in:
   SoftHSM crashes. So the module is finalised and initialised again with ``CKF_OS_LOCKING_OK``,
   once in each process: a forked worker does it for itself, as PKCS#11 demands.
2. It knows no ``CKA_UNWRAP_TEMPLATE``: :class:`TemplateMapper` packs it.
3. It knows no ``C_InitToken``: :meth:`Module.initialise_token` calls it.

A module is never finalised under somebody's feet: whoever calls it holds :meth:`Module.use`, and
:meth:`Module.reinitialise` waits until nobody does.
"""

import ctypes
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pkcs11
from pkcs11 import Attribute, PKCS11Error, Slot, Token
from pkcs11.attributes import AttributeMapper

from backend.errors import HsmUnavailable

if TYPE_CHECKING:
    from pkcs11 import _pkcs11

_CKF_OS_LOCKING_OK: Final = 2
_CKR_OK: Final = 0
_LABEL_BYTES: Final = 32
_WAIT_SECONDS: Final = 5.0


class _InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS."""

    _fields_ = (
        ("callbacks", ctypes.c_void_p * 4),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class _FunctionList(ctypes.Structure):
    """The beginning of CK_FUNCTION_LIST."""

    _fields_ = (
        ("version", ctypes.c_ubyte * 2),
        ("C_Initialize", ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.POINTER(_InitializeArguments))),
        ("C_Finalize", ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)),
        ("between", ctypes.c_void_p * 7),
        (
            "C_InitToken",
            ctypes.CFUNCTYPE(
                ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p
            ),
        ),
    )


class _CkAttribute(ctypes.Structure):
    """CK_ATTRIBUTE."""

    _fields_ = (
        ("type", ctypes.c_ulong),
        ("value", ctypes.c_void_p),
        ("length", ctypes.c_ulong),
    )


class TemplateMapper(AttributeMapper):
    """An attribute mapper that packs ``CKA_UNWRAP_TEMPLATE``, given as a mapping of attributes."""

    def __init__(self) -> None:
        """Register the packing."""
        super().__init__()
        self._kept: list[object] = []
        self.register_handler(Attribute.UNWRAP_TEMPLATE, self._pack_template, bytes)

    def _pack_template(self, template: Mapping[Attribute, Any]) -> bytes:
        """Pack an array of CK_ATTRIBUTE; what it points to lives as long as this mapper."""
        packed = (_CkAttribute * len(template))()
        for place, (attribute, value) in zip(packed, template.items(), strict=True):
            content = self.pack_attribute(attribute, value)
            buffer = ctypes.create_string_buffer(content, len(content))
            self._kept.append(buffer)
            place.type = attribute
            place.value = ctypes.addressof(buffer)
            place.length = len(content)
        return bytes(packed)


class Module:
    """A PKCS#11 module in this process."""

    def __init__(self, path: Path) -> None:
        """Name the module; nothing is loaded before it is used."""
        self._path = path
        self._condition = threading.Condition()
        self._users = 0
        self._held = threading.local()
        self._generation = 0

    def started(self) -> int:
        """Initialise the module if nobody did; gives the number of its last initialisation.

        Raises:
            HsmUnavailable: the module cannot be loaded or initialised.
        """
        with self._condition:
            if self._generation == 0:
                self._initialise()
            return self._generation

    @contextmanager
    def use(self) -> Iterator[int]:
        """Hold the module initialised; gives the number of this initialisation.

        Raises:
            HsmUnavailable: the module cannot be loaded or initialised.
        """
        with self._condition:
            generation = self.started()
            self._users += 1
            self._held.times = self._times_held() + 1
        try:
            yield generation
        finally:
            with self._condition:
                self._users -= 1
                self._held.times -= 1
                self._condition.notify_all()

    def is_held_here(self) -> bool:
        """Whether this very thread holds it; then it cannot be finalised by this thread."""
        return self._times_held() > 0

    def reinitialise(self, generation: int) -> None:
        """Finalise and initialise the module, unless somebody did since ``generation``.

        Raises:
            HsmUnavailable: it does not come back, or somebody does not let go of it.
        """
        with self._condition:
            if not self._condition.wait_for(
                lambda: self._users == 0 or self._generation != generation, timeout=_WAIT_SECONDS
            ):
                raise HsmUnavailable("the PKCS#11 module failed and is still in use")
            if self._generation == generation:
                self._initialise()

    def token(self, label: str) -> Token:
        """Find a token by its label.

        Raises:
            pkcs11.NoSuchToken: there is none.
        """
        return self._library().get_token(token_label=label)

    def slots(self) -> list[Slot]:
        """All slots."""
        return self._library().get_slots()

    def initialise_token(self, slot: Slot, *, so_pin: str, label: str) -> None:
        """Initialise the token of a slot; all that it holds is lost.

        Raises:
            HsmUnavailable: the token refuses it.
        """
        pin = so_pin.encode()
        padded = label.encode().ljust(_LABEL_BYTES)
        rv = self._functions().C_InitToken(slot.slot_id, pin, len(pin), padded)
        if rv != _CKR_OK:
            raise HsmUnavailable(f"the token cannot be initialised (CKR {rv:#x})")

    def _times_held(self) -> int:
        times: int = getattr(self._held, "times", 0)
        return times

    def _initialise(self) -> None:
        self._library()
        functions = self._functions()
        functions.C_Finalize(None)  # it may not be initialised; C_Initialize says what is wrong
        arguments = _InitializeArguments(flags=_CKF_OS_LOCKING_OK)
        rv = functions.C_Initialize(ctypes.byref(arguments))
        if rv != _CKR_OK:
            raise HsmUnavailable(f"{self._path} cannot be initialised (CKR {rv:#x})")
        self._generation += 1

    def _library(self) -> "_pkcs11.lib":
        try:
            library: _pkcs11.lib = pkcs11.lib(str(self._path))
        except PKCS11Error as error:
            raise HsmUnavailable(f"{self._path} cannot be loaded: {error}") from error
        return library

    def _functions(self) -> _FunctionList:
        """The list of functions that the binding has too, for what it does not call itself."""
        functions = ctypes.POINTER(_FunctionList)()
        ctypes.CDLL(str(self._path)).C_GetFunctionList(ctypes.byref(functions))
        return functions.contents


_modules: dict[tuple[int, Path], Module] = {}


def load_module(path: Path) -> Module:
    """The module of this process: a forked worker gets its own, with locks that nobody holds."""
    resolved = path.resolve()
    return _modules.setdefault((os.getpid(), resolved), Module(resolved))
