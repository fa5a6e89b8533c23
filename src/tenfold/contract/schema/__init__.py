"""The contract as others read it: JSON Schema of a row, OpenAPI of a service, and an example of a row."""

from tenfold.contract.schema.example import example
from tenfold.contract.schema.openapi import openapi, picture_field
from tenfold.contract.schema.row import json_schema

__all__ = ["example", "json_schema", "openapi", "picture_field"]
