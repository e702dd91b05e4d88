"""The texts of the scripts in the language of the page."""

from collections.abc import Callable, Mapping

from legibly.packs.card import Card


def _(text: str) -> str:
    """Mark a sentence for the catalogues."""
    return text


_TEXTS = {
    # Answers
    "verdict_read": _("sure"),
    "verdict_unsure": _("please check"),
    "verdict_blank": _("nothing there"),
    "verdict_not_a_digit": _("not a digit"),
    "verdict_unknown": _("unknown"),
    "verdict_failed": _("could not be read"),
    "verdict_pending": _("Reading …"),
    "about_blank": _("No ink was found in this picture."),
    "about_not_a_digit": _("There is something here, but it does not look like a digit."),
    "about_unknown": _(
        "There is something here, but it does not look like anything this model knows."
    ),
    "sureness": _("{percent}: about {count} of {base} such answers are wrong"),
    "sureness_one": _("{percent}: about one of {base} such answers is wrong"),
    "sureness_bound": _(
        "{percent}: on a new style of writing, up to {count} of {base} such answers may be wrong"
    ),
    "picture_of": _("Picture: {name}"),
    "a_picture": _("a picture"),
    "items": _("What was found, in reading order"),
    "saw": _("what the model saw"),
    "saw_alt": _("The ink as the model saw it, 28 by 28 points"),
    "why": _("Why?"),
    "why_alt": _("Which ink suggests {label}, and which suggests something else"),
    "why_for": _("this ink suggests {label}"),
    "why_against": _("this ink suggests {rival} instead"),
    "other_model": _(
        "This picture was read by a different model, and what that model saw was not stored."
    ),
    "why_missing": _("There is no explanation for this picture."),
    "legibility": _("legibility {percent}"),
    "all_probabilities": _("All probabilities"),
    "fewer": _("Only the first three"),
    "answer": _("Answer"),
    "bars": _("The model’s probability for each class"),
    "bars_item": _("The model’s probabilities for this item, {label}"),
    "press_enter": _("Press Enter or Done to read it."),
    "not_sent": _("Not sent yet. It is kept in this browser and sent automatically."),
    # Labels
    "asked": _(
        "We ask about a few pictures to measure how often the answers are right. Is this one right?"
    ),
    "is_it_right": _("Is this right? If not, what was it?"),
    "what_is_it": _("What is it really?"),
    "right": _("Right"),
    "it_was": _("It was a …"),
    "it_was_a": _("It was a {text}"),
    "several": _("Several digits"),
    "true_text": _("True text"),
    "search_class": _("Search the classes"),
    "save": _("Save"),
    "undo": _("Undo"),
    "no_digit": _("No digit here"),
    "was_nothing": _("Noted: no digit here. Thank you."),
    "was_right": _("Right: {text}. Thank you."),
    "was_wrong": _("Noted: it was {text}. Thank you."),
    "viewer": _("Picture that you can zoom and move"),
    "zoom_in": _("Zoom in"),
    "zoom_out": _("Zoom out"),
    "zoom_fit": _("Show all"),
    "item_is": _("Item {number} was read as {label}. What is it really?"),
    "item_was": _("What this item is"),
    "item_add": _("Add a digit"),
    "ask_yes": _("Yes"),
    "ask_no": _("No"),
    "not_idx": _("{name} is no complete idx file of pictures or labels."),
    "idx_most": _("Only the first {count} of {total} pictures are taken."),
    "item_added": _("Digit {number} was added by a person. What is it?"),
    "item_point": _("Draw a box around the missing digit, or tap it."),
    "item_draw": _("Draw the box of this digit, from corner to corner."),
    "item_redraw": _("Draw its box again"),
    "item_missing": _("Which digit is missing here?"),
    "item_unknown_place": _("Write the complete text instead: its places are not known."),
    "item_remove": _("Remove it: it is not a digit"),
    "place_in_list": _("{number} of {count}"),
    "noted": _("Noted: {text}"),
    "taken_back": _("Label removed"),
    # Work in progress
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
    "file_gone": _("This file can no longer be read: it was moved, changed or deleted."),
    "no_pictures": _("No pictures were found there."),
    "not_direct": _(
        "The store cannot be reached from this browser. Your pictures go through the server"
        " instead."
    ),
    # Uploads
    "batch_name": _("{count} pictures, {when}"),
    "batch_counts": _("{images} {images:picture|pictures}: {read} read, {unsure} to check."),
    "batch_counts_labelled": _(
        "{images} {images:picture|pictures}: {read} read, {unsure} to check."
        " {labelled} labelled, {wrong} of these wrong."
    ),
    "not_labels": _("{name} has no labels: it needs the columns file and label."),
    "labels_beside": _("Labels for {count} of {total} {total:picture|pictures}."),
    "class_folders": _(
        "{count} pictures are in folders named like answers. Are these names the true labels?"
    ),
    "class_folders_yes": _("Yes, use them as labels"),
    "class_folders_no": _("No, send them without labels"),
    "pattern_example": _("7_ada_0131.png: label {label}, writer {writer}"),
    "files_taken": _("Your pictures are being sent."),
    "see": _("See"),
    # Camera
    "camera": _("Camera"),
    "camera_choose": _("Which camera"),
    "camera_number": _("Camera {number}"),
    "camera_take": _("Take the picture"),
    "camera_use": _("Use it"),
    "camera_again": _("Once more"),
    "camera_close": _("Close"),
    "camera_hint": _("Hold the page flat and close to the camera, in even light."),
    "camera_cut": _("Drag over the picture to crop it, or use all of it."),
    "camera_refused": _(
        "This page is not allowed to use the camera. Allow it in your browser’s settings,"
        " or choose a file."
    ),
    "camera_missing": _("No camera found. Connect one, or choose a file."),
    # Accuracy
    "threshold": _(
        "At {threshold} or more: {coverage} answered, {risk} of these wrong ({low} to {high})."
    ),
    "threshold_none": _("At {threshold} or more, nothing is answered."),
    # Lists
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
    "copied": _("Link copied."),
    "some_failed": _("{count} could not be changed: {why}"),
    # Practice and review
    "write_a": _("Write a {digit}"),
    "practice_right": _("Read as {read}: {percent} legible"),
    "practice_wrong": _("Read as {read} instead of {meant}"),
    "practice_blank": _("Nothing could be read. Try it larger."),
    "to_review": _("{count} to review"),
    "reason_chosen": _("You selected this picture for review."),
    "reason_unsure": _("The answer is unsure."),
    "reason_asked": _("Part of the random sample used to measure accuracy."),
    "reason_disagreement": _("The answer is sure, but the label says {label}."),
    "reason_second": _("One person has labelled it already. What do you see?"),
    "reason_disputed": _("People disagree: {said}. What do you see?"),
    "imported": _("{labelled} labelled, {same} unchanged, {unknown} unknown, {refused} refused"),
    "practice_round": _("Round complete: {count} written, {right} read right"),
    "practice_taken_back": _("Undone. Write the {digit} again."),
    "practice_done": _("{count} written, {right} read right"),
    # Forms
    "form_picture": _("The form"),
    "form_field": _("Name of field {number}"),
    "form_cells": _("{count} cells"),
    "form_leave_out": _("Leave out"),
    "form_last_field": _("A form needs a field."),
    "form_review": _("Review"),
    "form_delete_ask": _("Delete the form {name}? The pictures of its fields stay in History."),
    "form_same_name": _("Each field needs a name of its own."),
    "form_not_one": _("{name} is not a form that was saved here."),
    "form_progress": _("{count} of {total} {total:scan|scans} read"),
    "form_head_field": _("Field"),
    "form_head_picture": _("Picture"),
    "form_head_verdict": _("Verdict"),
    "form_value": _("{field} in {source}"),
    "form_confirmed": _("confirmed"),
}
_PICTURE_TEXTS = {
    "no_digit": _("None of these"),
    "was_nothing": _("Noted: none of these. Thank you."),
    "several": _("Another answer"),
    "saw_alt": _("The picture as the model saw it"),
    "why_alt": _("Which parts suggest {label}, and which suggest something else"),
    "why_for": _("this part suggests {label}"),
    "why_against": _("this part suggests {rival} instead"),
}
"""In place of those for digits, for models whose item is the whole picture."""


def table(translate: Callable[[str], str], card: Card | None = None) -> Mapping[str, str]:
    """All sentences by key, as they fit the model's card; the browser replaces `{name}`."""
    texts = _TEXTS | _PICTURE_TEXTS if card is not None and card.layout == "whole" else _TEXTS
    if card is not None and not card.is_calibrated:
        texts = texts | dict.fromkeys(("sureness", "sureness_one"), _("{percent}, not calibrated"))
    return {key: translate(text) for key, text in texts.items()}
