"""tf.data."""

import tensorflow as tf


def double(x: int) -> int:
    return 2 * x


def main() -> None:
    total = 0

    def call(i: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(double, [i], tf.int64)

    dataset = tf.data.Dataset.range(1000).map(call, num_parallel_calls=2).batch(10)
    for batch in dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
        if not total:
            print(sum(batch), flush=True)
        total += sum(batch)
    print(total)


if __name__ == "__main__":
    main()
