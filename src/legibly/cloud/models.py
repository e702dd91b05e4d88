"""The model of a deployment: uploaded into its bucket, and recorded there."""

import os

from legibly import errors, records
from legibly.cloud.aws import Aws
from legibly.evaluation import promotion_history as histories
from legibly.ingest import stored_packs
from legibly.packs import registry
from legibly.packs.pack import folder_version
from legibly.settings import Settings
from legibly.store import Store, open_store, packs_folder

SHIPPED = "digits"


def upload(model: str, aws: Aws, data_bucket: str, *, is_new: bool) -> dict[str, str]:
    """Upload a pack into the data bucket under its version; the parameters that name it."""
    if model == SHIPPED or stored_packs.is_stored(model):
        return {"Model": model}
    if is_new:
        remedy = "Deploy once without --model, then again with it."
        raise errors.NotFound("the bucket does not exist yet.", where=data_bucket, remedy=remedy)
    settings = Settings.load(environ=os.environ)
    folder = registry.find(model, added=packs_folder(settings.store))
    store = open_store(f"s3://{data_bucket}", environ=aws.environ())
    key = stored_packs.upload(folder, store)
    return {"Model": f"s3://{data_bucket}/{key}", "ModelName": key.split("/")[1]}


def record(model: str, store: Store, *, is_requested: bool) -> None:
    """Record the stack's model as the one in use, so that any machine may promote another.

    Readers follow the history of the store only where it knows their own model. One that is not
    `is_requested` by this deployment is recorded if the history does not know it.
    """
    past = histories.changes(store)
    before = histories.current_choice(past, SHIPPED)
    is_known = model == SHIPPED or model in histories.settings(past)
    if before.setting == model or (is_known and not is_requested):
        return
    change = histories.following(
        past, "use", by="legibly cloud deploy", before=before, after=_choice(model)
    )
    histories.write(store, change)


def _choice(model: str) -> histories.Choice:
    if stored_packs.is_stored(model):
        name, version = model.rsplit("/", 2)[1:]
    else:
        name = model
        version = folder_version(registry.find(model))
    return histories.Choice(model, records.Model(name, version))
