"""Everything that locates: duty, receiver, surroundings, beacons heard and sent.

Imported where it is wired, because a shop without beacons has nothing of it: more than a megabyte.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent import config as configuration
from agent.alerting.sos_service import holds as sos_holds
from agent.config import FenceConfig
from agent.core.allowed import WhileAllowed
from agent.positioning.privacy import IDLE_EVERY_S, LIGHTS, WHEREABOUTS, Blur, Grid
from agent.positioning.profiles import profile
from agent.wiring.house import House
from drivers import catalog
from drivers.battery import charge

if TYPE_CHECKING:
    from agent.arrival.geofence import Shape
    from agent.positioning.duty_service import DutyService
    from agent.positioning.service import PositioningService
    from agent.positioning.tracker import Estimate


def positioning(house: House) -> None:
    position = house.config.position
    if position is None:
        return
    from agent.positioning.service import PositioningService

    driver = catalog.load("gps", position.driver)
    settings = configuration.driver_settings("gps", position)
    house.duty = duty = _duty(house, made_up=driver.made_up)

    async def located(estimate: Estimate) -> None:
        if house.arrival is not None:
            await house.arrival.see(estimate)

    house.positioning = service = PositioningService(
        open_receiver=partial(driver.open, settings, house.clock),
        clock=house.clock,
        recorder=house.outbox,
        health=house.health,
        profile=profile(
            position.profile,
            max_error_m=position.max_error_m,
            moving_s=position.moving_s,
            still_s=position.still_s,
        ),
        sinks=[located],
        datum=position.datum,
        mode=lambda: duty.mode,
        blur=lambda: Blur(Grid(house.config.privacy.cell_m), duty.secret, IDLE_EVERY_S),
        waits=lambda: not house.uplink.sending,
        rewrite=house.outbox.rewrite,
        moments=house.outbox.moments,
        battery=charge,
    )
    receiver = WhileAllowed(service, lambda: duty.mode != "off", duty.changes, service.rest)
    house.rooms += [duty, receiver]
    _surroundings(house, service)


def _duty(house: House, *, made_up: bool) -> DutyService:
    """`made_up`: the receiver is none, so nobody needs to agree."""
    from agent.positioning.duty_service import DutyService, Rules

    privacy = house.config.privacy
    consent = privacy.consent or ("elsewhere" if made_up else "required")

    async def changed() -> None:
        house.signals.light("duty", LIGHTS[duty.mode])
        house.changes.notify()
        await house.uplink.announce()

    async def forget() -> int:
        assert house.positioning is not None
        house.positioning.forget()
        forgotten = await house.outbox.purge(WHEREABOUTS)
        house.uplink.reread()
        return forgotten

    duty = DutyService(
        Rules(consent == "required", privacy.notice, privacy.duty),
        house.database,
        house.clock,
        house.health,
        house.outbox,
        live_orders=house.orders.any_live,
        sos=sos_holds,
        around=house.changes,
        changed=changed,
        forget=forget,
    )
    return duty


def _surroundings(house: House, located: PositioningService) -> None:
    section = house.config.surroundings
    if section is None:
        return
    from agent.positioning.surroundings_service import SurroundingsService

    driver = catalog.load("surroundings", section.driver)
    settings = configuration.driver_settings("surroundings", section)
    service = SurroundingsService(
        partial(driver.open, settings, house.clock),
        house.clock,
        house.outbox,
        lambda: None if located.last is None else located.last.t,
        configuration.seconds(section.every),
    )
    house.add_while_delivering(service, service.rest)


def arrival(house: House) -> None:
    beacons, rider = house.config.beacons, house.config.role == "rider"
    if beacons is None and not rider:
        return
    from agent.arrival import places
    from agent.arrival.remembering import Remembered
    from agent.arrival.service import ArrivalService, Orders

    open_scanner = recover = known = None
    if beacons is not None:
        driver = catalog.load("beacons", beacons.driver)
        settings = configuration.driver_settings("beacons", beacons)
        open_scanner = partial(driver.open, settings, house.clock)
        recover = driver.recover and partial(driver.recover, settings)
        known = places.configured(beacons.places)

    async def crossed(_fence: str, _event: str) -> None:
        if house.positioning is not None:
            await house.positioning.report("fence")

    house.arrival = service = ArrivalService(
        clock=house.clock,
        recorder=house.outbox,
        health=house.health,
        open_scanner=open_scanner,
        recover=recover,
        places=known,
        fences=[_shape(fence) for fence in house.config.fence],
        on_fence=[crossed],
        orders=Orders(
            house.clock,
            house.changes,
            partial(house.orders.awaited, "shop" if rider else "courier"),
            "shops" if rider else "couriers",
        ),
        on_meeting=None if rider else house.orders.courier,
        remembered=Remembered(house.database) if rider else None,
    )
    house.add_while_delivering(service, service.rest)


def _shape(fence: FenceConfig) -> Shape:
    from agent.arrival.geofence import Circle, Polygon

    if fence.polygon:
        return Polygon(fence.id, tuple(fence.polygon), fence.dwell_s)
    assert fence.lat is not None
    assert fence.lon is not None
    return Circle(fence.id, fence.lat, fence.lon, fence.radius_m, fence.dwell_s)


def beacon(house: House) -> None:
    section = house.config.beacon
    if section is None:
        return
    from agent.arrival.own_beacon import OwnBeacon, key_path

    driver = catalog.load("advertiser", section.driver)
    settings = configuration.driver_settings("advertiser", section)
    house.beacon = own = OwnBeacon(
        clock=house.clock,
        health=house.health,
        open_sender=partial(driver.open, settings, house.clock),
        key_file=key_path(Path(house.config.store.path)),
    )
    house.add_while_delivering(own, own.rest)
