"""
Another process beside the service that lets events happen, each in a transaction of its own.

    python recorder.py DATABASE_URL APP_ID COUNT PER_SECOND NOTES

What is committed is noted in a file: `event-id task-id`, one line each.
"""

from __future__ import annotations

import sys
import time

from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.delivery.outbox import Outbox
from vodsprite.events import ImageSpriteComplete, SpriteLinks
from vodsprite.ids import AppId, FileId, RandomIds


def main(url: str, app_id: AppId, count: int, per_second: float, notes: str) -> None:
    """Record *count* events at that pace, or as fast as the disk allows."""
    database = Database(DatabaseSettings(url=url))
    ids, clock = RandomIds(), SystemClock()
    outbox = Outbox(ids)
    begun = time.monotonic()
    with open(notes, "w", encoding="ascii", buffering=1) as file:
        for number in range(count):
            time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            event = ImageSpriteComplete(
                task_id=ids.sprite_task_id(),
                file_id=FileId(str(10**18 + number)),
                definition=10,
                sprites=SpriteLinks(
                    tile_width_px=142,
                    tile_height_px=80,
                    total_count=106,
                    sheet_urls=("http://media.example.com/imageSprite_10_0.jpg",),
                    vtt_url="http://media.example.com/imageSprite_10.vtt",
                ),
                failure=None,
            )
            with database.transaction() as conn:
                event_id = outbox.record(conn, app_id, event, now=clock.now())
            file.write(f"{event_id} {event.task_id}\n")
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], AppId(int(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
