"""Writes sales.csv: a year of invented orders of an invented shop, the same on every machine and Python version.

Only `random.Random(seed).random()` is used, whose sequence Python guarantees. A few values are wrong on purpose.
"""

# ruff: noqa: S311 (a table of chance, no secret)
from __future__ import annotations

import csv
import math
import sys
from datetime import date, timedelta
from random import Random

ROWS = 400
CITIES = {
    "North": ("Leeds", "Newcastle", "York"),
    "South": ("Brighton", "Southampton"),
    "East": ("Cambridge", "Norwich"),
    "West": ("Bristol", "Cardiff", "Plymouth"),
}
PRODUCTS = (  # product, category, price, usual number per order
    ("Desk lamp", "Lighting", 34.90, 6),
    ("Floor lamp", "Lighting", 89.00, 3),
    ("Office chair", "Seating", 159.00, 4),
    ("Bar stool", "Seating", 74.50, 5),
    ("Standing desk", "Desks", 419.00, 2),
    ("Side table", "Desks", 64.00, 4),
    ("Notebook, pack of 10", "Paper", 18.50, 20),
    ("Whiteboard", "Paper", 112.00, 2),
)
REPRESENTATIVES = ("A. Okafor", "B. Lindqvist", "C. Moreau", "D. Patel", "E. Novak")
COLUMNS = (
    "order_id", "order_date", "region", "city", "product", "category", "sales_rep",
    "units", "unit_price", "discount_pct", "revenue", "delivery_days", "rating",
)  # fmt: skip


def main() -> None:
    """Write the table to standard output."""
    random = Random(20240615).random
    rows = [order(number, random) for number in range(ROWS)]
    plant_mistakes(rows)
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def order(number: int, random) -> dict[str, object]:
    """One order: more in December, slower deliveries in the west, fewer units of what is dear."""
    day = date(2024, 1, 2) + timedelta(days=int(365 * (number / ROWS) ** 0.9))
    region = pick(tuple(CITIES), random)
    product, category, price, usual = pick(PRODUCTS, random)
    units = max(1, round(usual * math.exp(0.45 * normal(random)) * (1.25 if day.month == 12 else 1)))
    discount = (0, 0, 0, 5, 10, 15)[int(6 * random())] if random() > 0.05 else None
    revenue = units * price * (1 - (discount or 0) / 100)
    days = max(1, round(3.5 + (1.5 if region == "West" else 0) + 1.2 * normal(random)))
    rating = min(5, max(1, round(5.4 - 0.25 * days + 0.6 * normal(random))))
    return {
        "order_id": 10_001 + number,
        "order_date": day.isoformat(),
        "region": region,
        "city": pick(CITIES[region], random),
        "product": product,
        "category": category,
        "sales_rep": pick(REPRESENTATIVES, random) if random() > 0.02 else "",
        "units": units,
        "unit_price": f"{price:.2f}",
        "discount_pct": "" if discount is None else discount,
        "revenue": f"{revenue:.2f}",
        "delivery_days": days,
        "rating": rating if random() > 0.12 else "",
    }


def plant_mistakes(rows: list[dict[str, object]]) -> None:
    """What real exports hold: slips of the keyboard, a forgotten parcel, a refund."""
    rows[57].update(units=240, revenue="4440.00", unit_price="18.50", product="Notebook, pack of 10", category="Paper")
    rows[131].update(delivery_days=41, rating=1)
    rows[198].update(units=2, unit_price="4190.00", revenue="8380.00", product="Standing desk", category="Desks")
    rows[266].update(revenue="-5028.00", units=12, unit_price="419.00", product="Standing desk", category="Desks")
    rows[303].update(delivery_days=-9)
    rows[340].update(units=150, unit_price="34.90", revenue="5235.00", product="Desk lamp", category="Lighting")


def pick(options, random):
    """One of `options`, each equally likely."""
    return options[int(len(options) * random())]


def normal(random) -> float:
    """Roughly normal, mean 0 and deviation 1: a sum of uniform numbers, the same on every machine."""
    return sum(random() for _ in range(12)) - 6


if __name__ == "__main__":
    main()
