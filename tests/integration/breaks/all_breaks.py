"""All breaks, whatever they break."""

from tests.integration.breaks import answers, first, networks, processes, storage

BREAKS = (
    *first.BREAKS,
    *processes.BREAKS,
    *networks.BREAKS,
    *answers.BREAKS,
    *storage.BREAKS,
)
