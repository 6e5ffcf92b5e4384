"""A million photographs: parts of a source, restored by Ray Data's actors, resumed by reports."""
