"""
How long an accepted task waits for an idle worker: from the end of its submission to the begin of its run.

    python bench/pickup.py [COUNT]

Prints one JSON object; the goal is a median of at most 100 ms. `idle_cpu_share` is what the waiting itself
costs: the share of one core that a worker without tasks takes.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from vodsprite.testing.plant import BASE_URL, Plant


def main(count: int) -> None:
    """Submit *count* tasks, each to an idle worker, at moments that have nothing to do with its polls."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "no-video.mp4")
        source.write_bytes(b"pick-up is over before anybody looks inside")
        plant = Plant(Path(place))
        try:
            media = plant.media.add_file(plant.app_id, source)
            plant.start()
            time.sleep(2)
            waits_ms = []
            for _ in range(count):
                time.sleep(random.uniform(0.1, 0.3))
                task_id = plant.queue.submit_image_sprite(plant.app_id, media.file_id, 10, base_url=BASE_URL)
                accepted_at = plant.clock.now()
                plant.finish(task_id)
                task = plant.queue.describe(plant.app_id, task_id, now=plant.clock.now()).task
                assert task.begun_at is not None
                waits_ms.append((task.begun_at - accepted_at).total_seconds() * 1000)
            cpu = time.process_time()
            time.sleep(5)
            idle = (time.process_time() - cpu) / 5
        finally:
            plant.close()
    waits_ms.sort()
    print(
        json.dumps(
            {
                "tasks": count,
                "p50_ms": round(statistics.median(waits_ms), 1),
                "p95_ms": round(waits_ms[int(0.95 * (count - 1))], 1),
                "max_ms": round(waits_ms[-1], 1),
                "idle_cpu_share": round(idle, 3),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
