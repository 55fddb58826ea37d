"""The peers' bench. The process that times others imports the standard library alone, so that it adds nothing to their memory."""
