"""Uploads of PDF and TIFF files: each page becomes an image."""

import asyncio
import json

from anyio import to_thread
from fastapi import Response

from legibly.pipeline import paged_files
from legibly.pipeline.paged_files import PageImage
from legibly.records import Image
from legibly.web.api.uploads import Upload
from legibly.web.services import State


async def answer(
    state: State, upload: Upload, *, seconds: float, idempotency_key: str | None
) -> Response:
    """Store and read each page; 200 if all of them are read within `seconds`."""
    received = await to_thread.run_sync(
        lambda: paged_files.receive(
            state.service,
            upload.data,
            upload.details,
            max_pages=state.settings.max_pages,
            request=idempotency_key,
        )
    )
    images = await asyncio.gather(*(_read(state, page, seconds) for page in received))
    status = 202 if any(image.state == "pending" for image in images) else 200
    batch = images[0].batch
    place = f"/api/images?batch={batch}" if batch else f"/api/images/{images[0].id}"
    document = {"images": [state.service.document(image) for image in images], "batch": batch}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, headers={"Location": place}, media_type="application/json")


async def _read(state: State, page: PageImage, seconds: float) -> Image:
    if page.image.state != "pending":
        return page.image
    return await state.submit(page.image, page.data, seconds=seconds) or page.image
