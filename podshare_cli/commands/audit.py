"""``podshare audit``: evidence for auditors, exported and verified."""

from pathlib import Path
from typing import Annotated

import typer

from podshare.registry.sentences import counted
from podshare_cli.failures import Failure
from podshare_cli.options import Options, examples, group, takes_options
from podshare_cli.whole_files import writable

app = group("Audit: evidence of who had access, as a file that can be checked later.")


@app.command(
    "export",
    epilog=examples(
        "podshare audit export --since 2026-10-01 --out evidence.zip",
        "podshare audit export --since 2026-10-01 --until 2026-11-01 --out october.zip --jq .manifest",
    ),
)
@takes_options
def export(
    options: Options,
    *,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From when: 2026-10-01, or 30d.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Until when; default: now.")] = "now",
    out: Annotated[Path, typer.Option("--out", metavar="FILE.zip", callback=writable, help="Where to write the file.")],
) -> None:
    """Write the history of a time into a ZIP file, with a manifest of digests.

    It has the objects of all runs of that time and the access reports that answer for its beginning, all versions of
    records until its end, and what follows from them: who had access at the end, who gained and lost access. Keep the
    digest of the manifest elsewhere than the file: with it `podshare audit verify` notices any change.
    """
    from rich.markup import escape

    from podshare_cli.history import evidence
    from podshare_cli.history.answers import Past
    from podshare_cli.history.moments import span
    from podshare_cli.history.objects import History
    from podshare_cli.progress.live import waiting

    began, ended = span(since, until)
    history = History(options.connection)
    past = Past(history)
    with waiting(options, "reading the history"):
        answers = {
            "access-at-the-end": past.access_at(ended, None).as_dict(),
            "access-changes": [change.as_dict() for change in past.changes(began, ended, None)],
        }
        objects = {stored.key: stored for stored in (*history.runs_read(ended), *history.all_versions(ended))}
    about = evidence.about(history.bucket, options.connection.caller, began, ended)
    manifest = evidence.pack(out, about, objects.values(), answers)
    shown = {"file": str(out), "manifest": manifest["manifest"], "objects": len(objects)}
    options.show(
        {**shown, **about},
        lambda: escape(
            f"{out}: {counted(len(objects), 'object')} of the history\nmanifest sha256:{manifest['manifest']}"
        ),
    )


@app.command(
    "verify",
    epilog=examples(
        "podshare audit verify evidence.zip",
        "podshare audit verify evidence.zip --manifest $(cat evidence.sha256)",
    ),
)
@takes_options
def verify(
    options: Options,
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="A file that podshare audit export has written.")],
    manifest: Annotated[
        str, typer.Option("--manifest", metavar="SHA256", help="The manifest's digest, as the export printed it.")
    ] = "",
) -> None:
    """Check that an exported file is as it was exported: nothing changed, added or missing.

    Without --manifest whoever changed the file may have changed its manifest too. It reads the file alone. The exit
    code is 1 if anything is not as it was.
    """
    from rich.markup import escape

    from podshare_cli.history import evidence

    manifest_read, problems = evidence.problems(file, manifest)
    whole = {
        "file": str(file),
        "manifest": manifest_read["manifest"],
        "files": len(manifest_read["files"]),
        "problems": problems,
    }
    options.show(
        whole,
        lambda: escape("\n".join(problems) or f"{file}: {counted(len(manifest_read['files']), 'file')} as exported"),
    )
    if problems:
        raise Failure(
            f"{file} is not as it was exported: {problems[0]}", "Take the file from where it was kept safely."
        )
    if not manifest and not options.is_silent:
        options.say("The manifest itself was not checked: give its digest with --manifest.")
