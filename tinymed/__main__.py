"""``python -m tinymed`` is the command ``tinymed``."""

from tinymed.cli import main

main()
