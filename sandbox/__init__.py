"""The five order APIs on loopback, with real orders and a clock that can be moved.

Belongs here: servers that behave as the documented APIs do, and what is true in them at a moment.
Does not belong here: anything of the pipeline. This package imports nothing of schemas, resources,
assets or pipelines, so that it cannot share their misunderstandings.
"""
