"""A timer that erases classes past their end and accounts whose erasure is due."""

import logging
import threading

from legibly.errors import LegiblyError
from legibly.people import erasure
from legibly.people.accounts import Accounts
from legibly.people.classrooms import Classes

_log = logging.getLogger(__name__)
PURGE_SECONDS = 3600.0


class PurgeTimer:
    """Purges at the start, and then every `seconds`."""

    def __init__(
        self,
        classes: Classes,
        accounts: Accounts,
        projects: erasure.Projects,
        *,
        seconds: float = PURGE_SECONDS,
    ) -> None:
        self._classes = classes
        self._accounts = accounts
        self._projects = projects
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="purge", daemon=True)

    def start(self) -> None:
        """Start the timer's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a purge in progress finishes its class first."""
        self._stopping.set()

    def _run(self) -> None:
        while True:
            try:
                for school_class in erasure.purge_expired(self._classes, self._projects):
                    _log.info("class %s was past its date and has been erased", school_class.id)
                for account in erasure.purge_accounts(self._accounts, self._projects):
                    _log.info(
                        "account %s has been erased, as an administrator requested", account.id
                    )
            except LegiblyError as error:
                _log.warning("purging: %s", error)
            except Exception:
                _log.exception("purging failed; it will be retried")
            if self._stopping.wait(self._seconds):
                return
