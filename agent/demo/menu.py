"""Made-up orders in Chinese and English; every name, number and price is invented."""

from __future__ import annotations

import random
from typing import NamedTuple

import msgspec

from agent.contract.orders import Amount, Courier, Customer, Footer, Item, Option, Order


class _Dish(NamedTuple):
    zh: str
    en: str
    price: int  # minor units
    options: tuple[tuple[str, str], ...] = ()


DISHES = (
    _Dish("宫保鸡丁", "Kung Pao chicken", 3200, (("微辣", "mild"), ("加花生", "extra peanuts"))),
    _Dish("麻婆豆腐", "Mapo tofu", 2200, (("特辣", "extra hot"),)),
    _Dish("干炒牛河", "Beef chow fun", 2800, (("少油", "less oil"),)),
    _Dish("小笼包 8 只", "Soup dumplings x8", 2600),
    _Dish("番茄炒蛋", "Tomato and egg", 1800, (("不加糖", "no sugar"),)),
    _Dish("扬州炒饭", "Yangzhou fried rice", 2000, (("加蛋", "add egg"),)),
    _Dish("酸辣汤", "Hot and sour soup", 1600),
    _Dish("清炒时蔬", "Stir-fried greens", 1900, (("蒜蓉", "garlic"),)),
    _Dish("蜜汁叉烧", "Honey char siu", 3600),
    _Dish("冻柠茶", "Iced lemon tea", 1200, (("少冰", "less ice"), ("走糖", "no syrup"))),
)
NOTES = (
    ("不要香菜,谢谢!", "No coriander, please!"),
    ("到楼下请打电话", "Call when you are downstairs"),
    ("花生过敏", "Allergic to peanuts"),
    ("多给一双筷子", "One more pair of chopsticks"),
)
ADDRESSES = (
    ("云栖路 18 号 3 层", "18 Yunqi Road, floor 3"),
    ("梧桐里 7 弄 402", "7 Wutong Lane, flat 402"),
    ("星河大厦 B 座 11 层", "Galaxy Tower B, floor 11"),
)
PLATFORMS = ("小程序", "Mini program")
DELIVERY_FEE = 500


def order_id(n: int) -> str:
    """Of the n-th order of this run; it is what the verdict looks for on paper."""
    return f"demo-{n:05d}"


def order(n: int, rng: random.Random, now_ms: int) -> Order:
    """The n-th order, every other one in English."""
    lang = n % 2  # 0 Chinese, 1 English
    items = [_item(dish, rng, lang) for dish in rng.sample(DISHES, rng.choice((1, 2, 2, 3)))]
    goods = sum((item.unit_price or 0) * item.qty for item in items)
    return Order(
        order_id=order_id(n),
        version=1,
        status="pending",
        placed_at=now_ms,
        items=items,
        platform=PLATFORMS[lang],
        day_seq=n,
        kind="delivery",
        fees=[Amount(("配送费", "Delivery")[lang], DELIVERY_FEE)],
        total=goods + DELIVERY_FEE,
        currency="CNY",
        paid=True,
        note=rng.choice(NOTES)[lang] if rng.random() < 0.6 else None,
        cutlery=rng.randint(1, 3),
        customer=Customer(
            name=("陈**", "A. C***")[lang],
            phone="138****0000",
            address=rng.choice(ADDRESSES)[lang],
        ),
        courier=Courier(name=("小林", "Lin")[lang], phone="139****0000"),
        footer=[Footer(text=("演示订单,请勿备餐", "Demo order, do not cook")[lang])],
    )


def changed(order: Order, rng: random.Random) -> Order:
    """The next version: one dish more, and what that costs."""
    more = _item(rng.choice(DISHES), rng, int(order.platform == PLATFORMS[1]))
    price = (more.unit_price or 0) * more.qty
    return msgspec.structs.replace(
        order,
        version=order.version + 1,
        items=[*order.items, more],
        total=(order.total or 0) + price,
    )


def malformed(n: int) -> bytes:
    """An order that no device may accept, nor die of: negative amount, script for a name."""
    return (
        b'{"order_id":"%s","version":1,"status":"pending","placed_at":0,'
        b'"items":[{"name":"<script>alert(1)</script>","qty":-1}]}' % order_id(n).encode()
    )


def _item(dish: _Dish, rng: random.Random, lang: int) -> Item:
    options = [Option(pair[lang]) for pair in dish.options if rng.random() < 0.4]
    return Item(
        name=dish.en if lang else dish.zh,
        qty=rng.choice((1, 1, 1, 2)),
        unit_price=dish.price,
        options=options,
    )
