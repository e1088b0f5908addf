"""What the book asks of Sphinx beyond its configuration file.

The theme's chain brings in `sphinx_thebe`, which writes its script block
twice on every page and names a server elsewhere. The book does not use it,
so its listeners are taken off before they run.
"""


def _without_thebe(app, _config):
    for listeners in app.events.listeners.values():
        listeners[:] = [
            one
            for one in listeners
            if not one.handler.__module__.startswith("sphinx_thebe")
        ]


def setup(app):
    app.connect("config-inited", _without_thebe, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
