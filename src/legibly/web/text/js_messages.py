"""The words that the pages' JavaScript says: one table, in the language of the page."""

from collections.abc import Callable, Mapping

Translate = Callable[[str], str]


def table(_: Translate) -> Mapping[str, str]:
    """Every sentence by its key; `{name}` is filled by the browser."""
    parts = (_answers, _labels, _doing, _uploads, _camera, _accuracy, _lists, _practice)
    return {key: text for part in parts for key, text in part(_).items()}


def _answers(_: Translate) -> dict[str, str]:
    return {
        "verdict_read": _("sure"),
        "verdict_unsure": _("please check"),
        "verdict_blank": _("nothing there"),
        "verdict_not_a_digit": _("not a digit"),
        "verdict_unknown": _("not known"),
        "verdict_failed": _("could not be read"),
        "verdict_pending": _("Reading …"),
        "about_blank": _("No ink was found in this picture."),
        "about_not_a_digit": _("Something is there, but it looks like no digit."),
        "about_unknown": _("Something is there, but it looks like nothing that this model knows."),
        "sureness": _("{percent}: of {base} such answers about {count} are wrong"),
        "sureness_one": _("{percent}: of {base} such answers about one is wrong"),
        "sureness_bound": _(
            "{percent}: of {base} such answers up to {count} may be wrong on a new kind of writing"
        ),
        "picture_of": _("The picture: {name}"),
        "a_picture": _("a picture"),
        "items": _("What was found, in reading order"),
        "saw": _("what the model saw"),
        "saw_alt": _("The ink as the model saw it, 28 by 28 points"),
        "why": _("Why?"),
        "why_alt": _("Which ink spoke for {label}, and which against it"),
        "why_for": _("this ink spoke for {label}"),
        "why_against": _("this ink spoke for {rival} instead"),
        "other_model": _(
            "Another model than the one in use read this picture: what that one saw is not kept."
        ),
        "why_missing": _("There is no explanation for this picture."),
        "legibility": _("legibility {percent}"),
        "all_probabilities": _("All probabilities"),
        "fewer": _("Only the first three"),
        "answer": _("Answer"),
        "bars": _("How the model divides between the classes"),
        "bars_item": _("How the model divides this item, {label}"),
        "press_enter": _("Press Enter or Done, and it is read."),
        "not_sent": _("Not sent yet: it waits in this browser and goes out by itself."),
    }


def _labels(_: Translate) -> dict[str, str]:
    return {
        "asked": _(
            "One in a few pictures is asked about, to measure how often the answers are right. Is"
            " this one?"
        ),
        "is_it_right": _("Is this right? If not, what was it?"),
        "what_is_it": _("What is it really?"),
        "right": _("Right"),
        "it_was": _("It was a …"),
        "it_was_a": _("It was a {text}"),
        "several": _("Several digits"),
        "true_text": _("True text"),
        "save": _("Save"),
        "undo": _("Undo"),
        "no_digit": _("No digit here"),
        "was_nothing": _("Noted: no digit here. Thank you."),
        "was_right": _("Right: {text}. Thank you."),
        "was_wrong": _("Noted: it was {text}. Thank you."),
        "viewer": _("The picture, to zoom and move"),
        "zoom_in": _("Larger"),
        "zoom_out": _("Smaller"),
        "zoom_fit": _("Show all"),
        "item_is": _("Item {number} was read as {label}. What is it really?"),
        "item_was": _("What this item is"),
        "item_add": _("Add a digit"),
        "ask_yes": _("Yes"),
        "ask_no": _("No"),
        "not_idx": _("{name} is no complete idx file of pictures or labels."),
        "idx_most": _("Only the first {count} of {total} pictures are taken."),
        "item_added": _("Digit {number} was added by a person. What is it?"),
        "item_point": _("Draw a box around the digit that was overlooked, or tap its place."),
        "item_draw": _("Draw the box of this digit, from corner to corner."),
        "item_redraw": _("Draw its box again"),
        "item_missing": _("Which digit was overlooked there?"),
        "item_unknown_place": _("Write the complete text instead: its places are not known."),
        "item_remove": _("Take it out: it is no digit"),
        "place_in_list": _("{number} of {count}"),
        "noted": _("Noted: {text}"),
        "taken_back": _("Label taken back"),
    }


def _doing(_: Translate) -> dict[str, str]:
    return {
        "reading": _("Reading …"),
        "drawing": _("drawing.png"),
        "try_again": _("Try again"),
        "reconnecting": _("Connection lost: trying again …"),
        "error_offline": _(
            "The server cannot be reached. Your picture is still here; try again in a moment."
        ),
        "error_status": _("The server answered with status {status}."),
        "queue": _("{sent} of {total} sent, {read} read"),
        "queue_done": _("All done: {sent} of {total} sent, {read} read"),
        "file_gone": _("This file cannot be read any more: it was moved, changed or deleted."),
        "no_pictures": _("No pictures were found there."),
        "not_direct": _(
            "The store cannot be reached from this browser. Your pictures go through the server"
            " instead."
        ),
    }


def _uploads(_: Translate) -> dict[str, str]:
    return {
        "batch_name": _("{count} pictures, {when}"),
        "batch_counts": _("{images} pictures: {read} read, {unsure} to check."),
        "batch_counts_labelled": _(
            "{images} pictures: {read} read, {unsure} to check. {labelled} labelled, {wrong} of"
            " these wrong."
        ),
        "not_labels": _("{name} has no labels: it needs the columns file and label."),
        "labels_beside": _("Labels for {count} of {total} pictures."),
        "class_folders": _(
            "{count} pictures are in folders named like answers. Are these names the true labels?"
        ),
        "class_folders_yes": _("Yes, label them"),
        "class_folders_no": _("No, send them without"),
        "pattern_example": _("7_ada_0131.png: label {label}, writer {writer}"),
        "files_taken": _("Your pictures are being sent."),
        "see": _("See"),
    }


def _camera(_: Translate) -> dict[str, str]:
    return {
        "camera": _("Camera"),
        "camera_choose": _("Which camera"),
        "camera_number": _("Camera {number}"),
        "camera_take": _("Take the picture"),
        "camera_use": _("Use it"),
        "camera_again": _("Once more"),
        "camera_close": _("Close"),
        "camera_hint": _("Hold the writing flat and near, in even light."),
        "camera_cut": _("Drag over the picture to cut out a part, or use all of it."),
        "camera_refused": _(
            "This page may not use the camera. Allow it in the browser's settings, or choose a"
            " file."
        ),
        "camera_missing": _("No camera answers. Connect one, or choose a file."),
    }


def _lists(_: Translate) -> dict[str, str]:
    return {
        "shown": _("{count} shown"),
        "shown_all": _("{count} in all"),
        "selected": _("{count} selected"),
        "select": _("Select {name}"),
        "deleted": _("{count} deleted"),
        "labelled": _("{count} labelled"),
        "place": _("Pictures in which a {actual} was read as {predicted}"),
        "place_actual": _("Pictures that show a {actual}"),
        "place_predicted": _("Pictures in which something was read as {predicted}"),
        "loading": _("Loading …"),
        "copied": _("The link is copied."),
        "some_failed": _("{count} could not be changed: {why}"),
    }


def _accuracy(_: Translate) -> dict[str, str]:
    return {
        "threshold": _(
            "From {threshold} on: {coverage} answered, {risk} of these wrong ({low} to {high})."
        ),
        "threshold_none": _("From {threshold} on nothing is answered."),
    }


def _practice(_: Translate) -> dict[str, str]:
    return {
        "write_a": _("Write a {digit}"),
        "practice_right": _("Read as {read}: {percent} legible"),
        "practice_wrong": _("Read as {read}, meant was {meant}"),
        "practice_blank": _("Nothing could be read. Try it larger."),
        "to_review": _("{count} to look at"),
        "reason_chosen": _("You have chosen this picture to look at."),
        "reason_unsure": _("The answer is unsure."),
        "reason_asked": _("Part of the random sample by which accuracy is measured."),
        "reason_disagreement": _("The answer is sure, but the label says {label}."),
        "reason_second": _("One person looked at it. What do you see?"),
        "reason_disputed": _("People differ: {said}. What do you see?"),
        "imported": _(
            "{labelled} labelled, {same} the same as before, {unknown} unknown, {refused} refused"
        ),
        "practice_round": _("Round complete: {count} written, {right} read right"),
        "practice_taken_back": _("Taken back. Write the {digit} again."),
        "practice_done": _("{count} written, {right} read right"),
    }
