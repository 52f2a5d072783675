"""Options that the commands of `tonne deadletter` share."""

import click

from services.cli.options.time_option import Moment

NAME = "tonne deadletter"
json_ = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
reason_ = click.option("--reason", help="Only this reason.")
device_ = click.option("--device", help="Only this device.")
begin_ = click.option("--from", "begin", type=Moment(), help="Received at or after.")
end_ = click.option("--to", "end", type=Moment(), help="Received before.")
