"""Deleting pupils and classes with every picture, answer and label of theirs."""

from legibly.index.port import Filter
from legibly.people.classrooms import Classes, Pupil, SchoolClass
from legibly.web.services import State

_BATCH = 500


def erase_class(state: State, classes: Classes, school_class: SchoolClass) -> None:
    """Delete a class with its pupils."""
    for pupil in classes.pupils(school_class):
        erase_pupil(state, classes, pupil)
    classes.erase(school_class)


def erase_pupil(state: State, classes: Classes, pupil: Pupil) -> None:
    """Delete one pupil."""
    erase_images(state, pupil.owner)
    classes.remove_pupil(pupil)


def erase_images(state: State, owner: str) -> None:
    """Delete everything that belongs to an account or a pupil."""
    while images := state.index.page(Filter(owner=owner), limit=_BATCH):
        state.service.remove([image.id for image in images])


def purge(state: State) -> None:
    """Delete the classes whose time has come."""
    if state.classes is not None:
        state.classes.refresh()
        for over in list(state.classes.expired()):
            erase_class(state, state.classes, over)
