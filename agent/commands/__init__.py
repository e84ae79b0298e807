"""The commands of a device: each one line in a table, for MQTT, command line and page alike.

A module an area: its parameters, a dataclass of the rooms that it reaches, and `add_to(table)`.
"""

from agent.commands.alerts import AlertCommands
from agent.commands.bundle import BundleCommands
from agent.commands.device import DeviceCommands
from agent.commands.fleet import FleetCommands
from agent.commands.identity import IdentityCommands
from agent.commands.orders import OrderCommands
from agent.commands.printers import PrinterCommands
from agent.commands.settings import SettingsCommands
from agent.commands.status import StatusCommand
from agent.commands.support import SupportCommands
from agent.commands.update import UpdateCommands
from agent.commands.whereabouts import WhereaboutsCommands

AREAS = (
    StatusCommand,
    OrderCommands,
    PrinterCommands,
    AlertCommands,
    DeviceCommands,
    SettingsCommands,
    WhereaboutsCommands,
    IdentityCommands,
    SupportCommands,
    BundleCommands,
    UpdateCommands,
    FleetCommands,
)
