"""Accounts in the store, without a server: what is kept, for how long, and by whose name."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from legibly import errors
from legibly.people import accounts, administration, erasure
from legibly.people.administration import OPERATOR
from legibly.records import now
from legibly.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    return open_store(f"file://{tmp_path}", environ={})


def test_ended_sessions_are_kept_as_long_as_they_would_have_lasted(store: Store) -> None:
    """Signing out is remembered by every process until the cookie is over by itself, and then
    forgotten.
    """
    book = accounts.Accounts(store)
    other = accounts.Accounts(store)
    book.end_session("over", until=int(time.time()) - 1)
    book.end_session("copied", until=int(time.time()) + 60)
    other.refresh()
    assert other.is_session_ended("copied")
    assert not other.is_session_ended("over")
    assert len(list(store.list(accounts.ENDED))) == 1


def test_one_identity_has_one_account_however_many_ask_at_once(store: Store) -> None:
    """Processes that meet somebody for the first time together make one account; another of that
    name gets a number.
    """
    with ThreadPoolExecutor(8) as pool:
        result = list(
            pool.map(
                lambda _: accounts.Accounts(store).from_provider("https://a 1", name="Ada")[0],
                range(8),
            )
        )
    assert {account.id for account in result} == {result[0].id}
    assert {account.name for account in result} == {"Ada"}
    book = accounts.Accounts(store)
    other, is_new = book.from_provider("https://b 1", name="ADA")
    assert (other.name, other.role, is_new) == ("ADA 2", "writer", True)
    assert book.from_provider("https://b 1", name="Somebody else") == (other, False)
    assert [person.name for person in book.people()] == ["Ada", "ADA 2"]


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("", "Somebody"),
        (" \x00\x1f\n ", "Somebody"),
        ("A\x00da\tL", "A da L"),
        ("x" * 300, "x" * 56),
    ],
)
def test_names_that_providers_tell_become_names(store: Store, message: str, name: str) -> None:
    """Empty, endless and invisible ones too."""
    assert accounts.Accounts(store).from_provider("https://a 1", name=message)[0].name == name


def test_whoever_was_erased_comes_back_as_somebody_new(store: Store) -> None:
    """Nothing of the person is left, the identity and the name included."""
    book = accounts.Accounts(store)
    before, _ = book.from_provider("https://a 1", name="Ada")
    book.erase(before)
    assert [stat.key for stat in store.list(accounts.FOLDER)] == []
    after, is_new = book.from_provider("https://a 1", name="Ada")
    assert (after.name, is_new, after.id == before.id) == ("Ada", True, False)


def test_a_password_account_is_nobodys_by_name(store: Store) -> None:
    """A provider's Ada does not become the Ada who has a password, and cannot sign in by one."""
    book = accounts.Accounts(store)
    mine = book.add("Ada", role="admin", password="four unrelated words")
    theirs, _ = book.from_provider("https://a 1", name="Ada")
    assert theirs.id != mine.id
    assert book.sign_in(theirs.name, "") is None
    assert book.sign_in("Ada", "four unrelated words") == mine
    with pytest.raises(errors.Conflict):
        book.add("ada 2", role="writer", password=None)


def test_an_erasure_is_due_after_a_day_and_can_be_cancelled(store: Store) -> None:
    """Until then the account is there, disabled; a timer erases what is due, and nothing else."""
    mine = accounts.Accounts(store)
    mine.add("ada", role="admin", password=None)
    people = [mine.add(name, role="writer", password=None) for name in ("ben", "eve", "kim")]
    due = [administration.schedule_erasure(mine, person, OPERATOR) for person in people]
    assert all(account.disabled for account in due)
    assert erasure.purge_accounts(mine, list) == []
    administration.cancel_erasure(mine, due[0], OPERATOR)
    administration.set_disabled(mine, due[1], OPERATOR, disabled=False)
    mine.change(due[2], erase_at=now())
    assert [account.name for account in erasure.purge_accounts(mine, list)] == ["kim"]
    assert {account.name: account.disabled for account in mine.people()} == {
        "ada": False,
        "ben": False,
        "eve": False,
    }


def test_a_revoked_token_is_restored_for_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its owner alone, and not later."""
    mine = accounts.Accounts(store)
    ada = mine.add("ada", role="admin", password=None)
    token, secret = mine.add_token(ada, name="script", scopes=["read"])
    mine.revoke(token)
    assert mine.token_owner(secret) is None
    assert mine.restore_token("somebody else", token.id) is None
    assert mine.restore_token(ada.id, token.id) is not None
    assert mine.token_owner(secret) is not None
    mine.revoke(token)
    monkeypatch.setattr(accounts, "UNDO_TOKEN_SECONDS", -1)
    assert mine.restore_token(ada.id, token.id) is None


def test_torn_and_strange_objects_cost_nobody_their_account(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """They are named and skipped; of an account with a torn version the one before counts."""
    book = accounts.Accounts(store)
    ada = book.add("Ada", role="reviewer", password=None)
    earlier = {stat.key for stat in store.list(accounts.PEOPLE)}
    book.change(ada, role="admin")
    (newest,) = {stat.key for stat in store.list(accounts.PEOPLE)} - earlier
    store.replace(newest, b'{"id":')
    store.replace(f"{accounts.PEOPLE}.DS_Store", b"\x00\x01")
    for _ in range(2):
        book = accounts.Accounts(store)
        book.refresh()
        assert book.find_by_name("Ada").role == "reviewer"
    assert newest in caplog.text
    assert ".DS_Store" in caplog.text


def test_a_torn_signing_key_is_named_and_can_be_replaced(store: Store) -> None:
    """`legibly users rotate-key` makes another, which ends every session."""
    book = accounts.Accounts(store)
    before = book.signing_key()
    store.replace(accounts.SECRET, b"{")
    with pytest.raises(errors.Invalid, match="torn"):
        book.signing_key()
    book.rotate_signing_key()
    assert book.signing_key() != before
