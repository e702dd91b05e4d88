"""A stack's model in the history of its bucket, which decides what readers read with."""

from pathlib import Path

from legibly import records
from legibly.cloud import models
from legibly.evaluation import promotion_history as histories
from legibly.store import Store, open_store

STACK = "s3://legibly-1-us-east-1/packs/mine/0123456789ab"


def store(folder: Path) -> Store:
    return open_store(folder.as_uri(), environ={})


def promoted(bucket: Store, setting: str, *, from_setting: str) -> None:
    """Write what `legibly models promote` on a machine with `from_setting` writes."""
    past = histories.changes(bucket)
    sides = [histories.Choice(name, records.Model(name, "1")) for name in (from_setting, setting)]
    histories.write(
        bucket, histories.following(past, "promote", by="ada", before=sides[0], after=sides[1])
    )


def test_a_promotion_from_any_machine_reaches_a_stack_with_its_own_model(tmp_path: Path) -> None:
    """The deployment writes its model into the history; a machine that knows `digits` alone
    promotes another, and the function, set to the stack's model, reads with that.
    """
    bucket = store(tmp_path)
    models.record(STACK, bucket, is_requested=True)
    [change] = histories.changes(bucket)
    assert (change.kind, change.after.model) == ("use", records.Model("mine", "0123456789ab"))
    assert histories.current([change], "digits") == STACK
    promoted(bucket, "better", from_setting="digits")
    assert histories.current(histories.changes(bucket), STACK) == "better"


def test_a_deployment_without_a_model_leaves_the_promoted_one(tmp_path: Path) -> None:
    """New code is no change of the model; `--model` is, also back to `digits`."""
    bucket = store(tmp_path)
    models.record(STACK, bucket, is_requested=True)
    promoted(bucket, "better", from_setting=STACK)
    models.record(STACK, bucket, is_requested=False)
    assert histories.current(histories.changes(bucket), STACK) == "better"
    models.record("digits", bucket, is_requested=True)
    assert histories.current(histories.changes(bucket), STACK) == "digits"
    assert len(histories.changes(bucket)) == 3


def test_a_stack_of_an_older_version_is_recorded_at_its_next_deployment(tmp_path: Path) -> None:
    """Its model was in no history, so that promotions passed it by."""
    bucket = store(tmp_path)
    promoted(bucket, "better", from_setting="digits")
    models.record(STACK, bucket, is_requested=False)
    assert histories.current(histories.changes(bucket), STACK) == STACK
    models.record("digits", bucket, is_requested=False)
    assert len(histories.changes(bucket)) == 2
