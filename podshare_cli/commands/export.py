"""``podshare export``: the registry as YAML files, one for each record, as ``podshare apply`` takes them back."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from podshare.registry.sentences import counted
from podshare_cli.failures import Failure, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, examples, takes_options
from podshare_cli.whole_files import writable_folder, write

app = Commands()

Item = dict[str, Any]
Directory = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        callback=writable_folder,
        help="The directory. Files in it that hold a record already are updated.",
    ),
]


@app.command("export", epilog=examples("podshare export records", "podshare export records --json"))
@takes_options
def export(options: Options, directory: Directory) -> None:
    """Write all clusters, datasets, enrollments and teams of the registry to files in a directory.

    A record that no YAML file there holds gets one of its own, such as team-vision.yaml. In a file that holds it, only
    what differs is changed: comments and order stay. Nothing outside of the directory is written. The exit code is 1 if
    a record is invalid: it is not exported.
    """
    from podshare_cli.aws.tables import Registry
    from podshare_cli.records.documents import WRITING_ORDER

    valid, refused = _checked(Registry(options.connection).all_of(*WRITING_ORDER))
    texts, places = _read(directory)
    edited = _edited(directory, texts, places, valid)
    for path, text in edited.items():
        write(path, text)
    others = {record_id: str(path) for record_id, path in places.items() if record_id not in valid.keys() | refused}
    options.show({"records": len(valid), "written": sorted(map(str, edited)), "others": others, "invalid": refused})
    for path in sorted(edited):
        options.say(f"{path}: written")
    for record_id, other in others.items():
        options.say(f"{other}: {record_id} is not in the registry")
    options.say(f"{counted(len(valid), 'record')} exported, {counted(len(edited), 'file')} written")
    if refused:
        names = ", ".join(refused)
        raise Failure(f"Not exported, because they are invalid: {names}", "The status of each record says what to fix.")


def _checked(items: Iterable[Item]) -> tuple[dict[str, Item], list[str]]:
    """The valid records by id, and the ids of the others, of which no file's name could be made."""
    from podshare.registry.parsing import problems_of

    valid, refused = dict[str, Item](), list[str]()
    for item in items:
        if problems_of(item):
            refused.append(ascii(item["id"])[1:-1])
        else:
            valid[item["id"]] = item
    return valid, refused


def _read(directory: Path) -> tuple[dict[Path, str], dict[str, Path]]:
    """The YAML files of a directory, and which of them holds which record. Raises Failure (invalid input)."""
    from podshare_cli.records.documents import yaml_files
    from podshare_cli.records.strict_yaml import NotReadableError, documents

    texts, places = dict[Path, str](), dict[str, Path]()
    for path in yaml_files(directory):
        try:
            texts[path] = path.read_bytes().decode()
            records = [document.value for document in documents(texts[path])]
        except (OSError, UnicodeDecodeError) as error:
            raise invalid(f"{path} cannot be read: {error}") from None
        except NotReadableError as error:
            raise invalid(f"{path}:{error.mark.line}:{error.mark.column} {error.rule}", error.remedy) from None
        for record_id in (str(record["id"]) for record in records if isinstance(record, Mapping) and "id" in record):
            if record_id in places:
                raise invalid(f"{record_id} is twice: in {places[record_id]} and {path}", "Keep one of the records.")
            places[record_id] = path
    return texts, places


def _edited(
    directory: Path, texts: Mapping[Path, str], places: Mapping[str, Path], items: Mapping[str, Item]
) -> dict[Path, str]:
    """The files that change, with their new text. Raises Failure for one that is not in the directory."""
    from podshare_cli.records.documents import to_yaml
    from podshare_cli.records.yaml_edits import with_record

    edited: dict[Path, str] = {}
    for record_id, item in items.items():
        path = places.get(record_id, directory / f"{record_id.replace('#', '-')}.yaml")
        if record_id in places:
            text = with_record(edited.get(path, texts[path]), item)
        elif path.exists():
            raise invalid(f"{path} exists, and does not hold {record_id}.", "Move the file, or put the record in it.")
        else:
            text = to_yaml(item)
        if text != texts.get(path):
            edited[path] = text
    for path in edited:
        if not path.resolve().is_relative_to(directory.resolve()):
            raise invalid(f"{path} is a link to a file outside of {directory}.", "Replace the link by the file.")
    return edited
