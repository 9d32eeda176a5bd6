"""SPDL, with a pool of processes."""

from concurrent.futures import ProcessPoolExecutor

from spdl.pipeline import PipelineBuilder


def double(x: int) -> int:
    return 2 * x


def batch(k: int) -> list[int]:
    return [double(x) for x in range(10 * k, 10 * k + 10)]


def main() -> None:
    total = 0
    with ProcessPoolExecutor(2) as pool:
        pipeline = (
            PipelineBuilder()
            .add_source(range(100))
            .pipe(batch, concurrency=2, executor=pool, output_order="input")
            .add_sink()
            .build(num_threads=1)
        )
        with pipeline.auto_stop():
            for got in pipeline:
                if not total:
                    print(sum(got), flush=True)
                total += sum(got)
    print(total)


if __name__ == "__main__":
    main()
