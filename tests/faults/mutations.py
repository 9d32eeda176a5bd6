"""What `mutants` changes: a name that says what is missing then, where, and who should notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A change of the package that a test has to notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_PROCESSES = ("engines/test_processes.py", "faults")
_CONFORMANCE = ("engines/test_conformance.py", "engines/test_processes.py", "faults")
_PORTABLE = ("engines/test_portable.py", "engines/test_processes.py", "faults")
_INTERRUPTS = ("faults/test_interrupts.py", "engines/test_prefetch.py")
_COMING_BACK = ("faults/test_coming_back.py", "faults/test_closing.py")
_DEALING = ("engines/test_dealing.py", "engines/test_processes.py")

_ENGINE = [
    Mutant(
        "a worker that died is not replaced",
        "engines/process.py",
        "                self._workers[worker.number] = self._crew.hire(worker.number)\n",
        "                pass\n",
        _PROCESSES,
    ),
    Mutant(
        "what a worker had finished before it died is not taken",
        "engines/deaths.py",
        "            self._taker.read(worker)  # what it had finished\n",
        "            pass\n",
        _PROCESSES,
    ),
    Mutant(
        "workers are not started again when all have ended",
        "engines/process.py",
        "        self._workers = []\n        if self._fatal is None:\n            self._start()\n",
        "        self._workers = []\n",
        _PROCESSES,
    ),
    Mutant(
        "an item over which two workers died is not answered",
        "engines/deaths.py",
        "            self._taker.fail(culprit, Failure(WorkerDied(why), worker.path or ()))\n",
        "",
        _PROCESSES,
    ),
    Mutant(
        "workers that never live are replaced for ever",
        "engines/deaths.py",
        "        self._taker.unlucky += 1\n",
        "",
        _PROCESSES,
    ),
    Mutant(
        "deaths between results are added up",
        "engines/taking.py",
        "        self.unlucky = 0\n        worker.path = None\n",
        "        worker.path = None\n",
        _PROCESSES,
    ),
    Mutant(
        "a worker that has closed its pipe is waited for",
        "engines/taking.py",
        "            self._crew.dismiss(worker)\n\n    def overhear",
        "            pass\n\n    def overhear",
        _PROCESSES,
    ),
    Mutant(
        "a value that cannot be loaded fails all that came with it",
        "engines/taking.py",
        "            if len(indices) > 1:  # evaluate again",
        "            if False:  # evaluate again",
        ("engines/test_conformance.py", "engines/test_classes.py", "faults"),
    ),
    Mutant(
        "an item that takes too long is not given up",
        "engines/process.py",
        "                self._timeouts.end_overdue(self._workers)\n",
        "                pass\n",
        ("engines/test_processes.py",),
    ),
    Mutant(
        "a start that hangs is waited for",
        "engines/timeouts.py",
        "        if took > _START_SECONDS:\n",
        "        if False:\n",
        ("faults/test_template.py",),
    ),
    Mutant(
        "nobody reads while the reader is away",
        "engines/process.py",
        "            if not self._keeper.receiving and not self._closed:\n                self._handle(polled)",
        "            pass",
        ("engines/test_prefetch.py",),
    ),
    Mutant(
        "what the keeper meets is told to nobody",
        "engines/keeping.py",
        "            give_up(failed)\n",
        "",
        ("engines/test_processes.py",),
    ),
    Mutant(
        "closing does not wait for the processes",
        "engines/process.py",
        "        self._crew.wait()\n",
        "",
        ("engines/test_conformance.py", "engines/test_prefetch.py"),
    ),
    Mutant(
        "a failed start leaves processes",
        "engines/process.py",
        "        except BaseException:\n            self.close()\n            raise\n",
        "        except BaseException:\n            raise\n",
        _PROCESSES,
    ),
    Mutant(
        "an item that may do harm is read ahead",
        "engines/process.py",
        "is not None and not block.alone",
        "is not None",
        ("faults/test_culprit.py",),
    ),
    Mutant(
        "nobody is watched",
        "engines/process.py",
        "watched=block.alone",
        "watched=False",
        ("faults/test_culprit.py",),
    ),
]

_DEALER = [
    Mutant(
        "the first item of a block is blamed for a death",
        "engines/dealing.py",
        "        if first.alone and left[0] in self._died_once:\n",
        "        if left:\n",
        _DEALING,
    ),
    Mutant(
        "items over which a worker died are dealt in a block again",
        "engines/dealing.py",
        "        self._died_once.update(left)\n        self._suspects.extend(left)\n",
        "        self._died_once.update(left)\n        self._front.extendleft(reversed(left))\n",
        _DEALING,
    ),
    Mutant(
        "who survived stays a suspect",
        "engines/dealing.py",
        "            self._died_once.difference_update(indices)\n",
        "            pass\n",
        _DEALING,
    ),
    Mutant(
        "a worker that never began is said to have died over an item",
        "engines/dealing.py",
        "        first = blocks.popleft() if blocks and began else None\n",
        "        first = blocks.popleft() if blocks else None\n",
        _DEALING,
    ),
    Mutant(
        "blocks behind that over which a worker died are lost",
        "engines/dealing.py",
        "                self._front.extendleft(reversed(block.left()))\n        blocks.clear()",
        "                pass\n        blocks.clear()",
        _DEALING,
    ),
    Mutant(
        "a block that a full pipe refused is lost",
        "engines/dealing.py",
        "        (self._suspects if block.alone else self._front).extendleft(reversed(block.indices))\n",
        "",
        _DEALING,
    ),
    Mutant(
        "what was set aside for a worker that is gone stays for it",
        "engines/reserves.py",
        "        indices.extendleft([i for i in rounds if i is not None][::-1])\n",
        "",
        _DEALING,
    ),
    Mutant(
        "what is set aside for a worker is for nobody else",
        "engines/reserves.py",
        "        other = max(self._of.values(), key=len, default=None)\n",
        "        other = own\n",
        _DEALING,
    ),
    Mutant(
        "others of the block of an item that took too long are lost",
        "engines/dealing.py",
        "            (self._suspects if block.alone else self._front).extendleft(reversed(left))\n",
        "",
        ("engines/test_dealing.py", "engines/test_processes.py"),
    ),
]

_TEMPLATE = [
    Mutant(
        "a template that was stopped is waited for",
        "engines/forking.py",
        "                self._child.kill()\n",
        "                pass\n",
        ("faults/test_template.py",),
    ),
    Mutant(
        "only its socket tells of the end of a template",
        "engines/forking.py",
        "            self._poller.register(self._death)\n",
        "            pass\n",
        ("faults/test_template.py",),
    ),
    Mutant(
        "the end of its socket does not tell of the end of a template",
        "engines/forking.py",
        '        return b"" if gone else None\n',
        "        return None\n",
        ("faults", "engines/test_processes.py"),
    ),
    Mutant(
        "closing waits for a template that was stopped",
        "engines/launch.py",
        "                    self.kill()\n",
        "                    pass\n",
        ("faults/test_template.py",),
    ),
    Mutant(
        "closing kills a template and does not wait for its workers",
        "engines/launch.py",
        "                    orphans = orphans or",
        "                    orphans = [] and",
        ("faults/test_template.py",),
    ),
    Mutant(
        "the template outlives a consumer that dies while it loads",
        "engines/template.py",
        "    quiet()\n    end_with(parent)\n",
        "    quiet()\n",
        ("faults",),
    ),
    Mutant(
        "workers outlive a template that was killed",
        "engines/template.py",
        "            end_with(template)\n",
        "            pass\n",
        ("faults", "engines/test_processes.py"),
    ),
    Mutant(
        "a template that was forked outlives the consumer",
        "engines/template.py",
        "                if self._parent_fd in fds or os.getppid() != self._parent:\n",
        "                if False:\n",
        ("faults", "engines/test_processes.py"),
    ),
    Mutant(
        "workers inside of user code are waited for",
        "engines/template.py",
        "            with suppress(ProcessLookupError):\n                os.kill(pid, signal.SIGKILL)\n",
        "            pass\n",
        ("engines/test_prefetch.py", "faults"),
    ),
    Mutant(
        "the end of a worker is not told",
        "engines/template.py",
        "                    self._control.send(ANSWER.pack(ENDED, pid, status))\n",
        "                    pass\n",
        ("engines/test_processes.py", "faults"),
    ),
    Mutant(
        "workers end at a Ctrl-C",
        "engines/worker.py",
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n",
        "    pass\n",
        ("engines/test_processes.py", "faults"),
    ),
    Mutant(
        "workers are started by the thread that wants them",
        "engines/launch.py",
        "        if self._thread is None:\n            thread =",
        "        return order()\n        if self._thread is None:\n            thread =",
        ("faults/test_template.py",),
    ),
]

_SPAWNED = [
    Mutant(
        "a process that a spawned worker has left behind hides its death",
        "engines/spawning.py",
        "            if self.process.poll() is not None:\n",
        "            if False:\n",
        _PORTABLE,
    ),
    Mutant(
        "a spawned worker outlives its consumer while a forked child has its pipe",
        "engines/spawned.py",
        "    quiet()\n    end_with(parent)\n",
        "    quiet()\n",
        ("engines/test_processes.py", "faults"),
    ),
]

_VALUES = [
    Mutant(
        "a list waits to be sent as the object that was returned",
        "engines/values.py",
        "        return value.copy() if _flat(value) else",
        "        return value if _flat(value) else",
        ("regressions/test_values_as_returned.py",),
    ),
    Mutant(
        "a value that finds no slot waits to be sent as the object that was returned",
        "engines/values.py",
        "        return any(not isinstance(part, Place) for part in parts)\n",
        "        return False\n",
        ("regressions/test_values_as_returned.py",),
    ),
    Mutant(
        "a value that cannot be loaded fails all that were sent with it",
        "engines/values.py",
        "            values[place] = failed(place, error)\n",
        "            raise\n",
        ("regressions/test_values_as_returned.py",),
    ),
    Mutant(
        "a slot of which there is a view is used again after a fork",
        "engines/leases.py",
        "        # Had the process been forked meanwhile, the child would have the same view.\n        if ref.forks == len(forks):\n",
        "        if True:\n",
        ("engines/test_slots.py", "engines/test_zero_copy.py"),
    ),
    Mutant(
        "values are not copied beyond the budget",
        "engines/leases.py",
        "        if not self._budget.allows(place.nbytes):\n",
        "        if False:\n",
        ("engines/test_slots.py", "engines/test_zero_copy.py"),
    ),
]

_READERS = [
    Mutant(
        "what was pending is still waited for after an interrupt",
        "prefetching/supply.py",
        "        self._window.reset(forget=forget)\n",
        "",
        _INTERRUPTS,
    ),
    Mutant(
        "a turn that was interrupted is not mended",
        "prefetching/turns.py",
        "            if not self._whole:\n                self._mend()\n",
        "",
        _INTERRUPTS,
    ),
    Mutant(
        "who was interrupted while it received is waited for",
        "prefetching/supply.py",
        "        if self._reception.lapsed():\n",
        "        if False:\n",
        _INTERRUPTS,
    ),
    Mutant(
        "an item that was interrupted is not read again",
        "prefetching/reading.py",
        "                i, known = self._again, False\n",
        "                i, known, self._again = self._again, False, None\n",
        _INTERRUPTS,
    ),
    Mutant(
        "an item that came before its turn and was interrupted is not read again",
        "prefetching/driver.py",
        "            if cursor.given is not None:  # it",
        "            if False:  # it",
        _INTERRUPTS,
    ),
    Mutant(
        "what signal handlers raise is taken for an error of the item",
        "prefetching/reading.py",
        "            if not known:  # nor is what signal handlers raise\n                raise\n",
        "",
        _INTERRUPTS,
    ),
    Mutant(
        "who comes back in the midst of a read waits for itself",
        "prefetching/supply.py",
        "        return self._my_turn() or (reception",
        "        return self._my_turn() and (reception",
        _COMING_BACK,
    ),
    Mutant(
        "what is asked for in the midst of a read is forgotten",
        "prefetching/supply.py",
        "        while self._leaving or self._closing:\n",
        "        while False:\n",
        _COMING_BACK,
    ),
    Mutant(
        "an item evaluated on the spot is read again and again",
        "prefetching/cursors.py",
        "            self.head += self.indices[self.head] == i\n",
        "            pass\n",
        _COMING_BACK,
    ),
    Mutant(
        "a forked child waits for workers of its parent",
        "prefetching/supply.py",
        "            self._begin()  # in a forked",
        "            pass  # in a forked",
        ("engines/test_processes.py", "faults"),
    ),
    Mutant(
        "threads that wait in a circle wait for ever",
        "flight.py",
        "                if other.leader == me:\n                    return False\n",
        "",
        ("regressions/test_add_cache_threads.py", "faults"),
    ),
    Mutant(
        "who waits for a leader that failed gets nothing",
        "flight.py",
        "            if flight.value is not _MISSING:\n                return flight.value\n",
        "            return flight.value\n",
        ("regressions/test_add_cache_threads.py", "faults"),
    ),
]

_REFUSED = [
    Mutant(
        "what the system refuses is told as it is",
        "engines/shortage.py",
        "    except (OSError, MemoryError) as error:\n        raise Worker",
        "    except ZeroDivisionError as error:\n        raise Worker",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "a pipe stays open where there cannot be a second",
        "engines/pipes.py",
        "        os.close(theirs)\n        os.close(tasks)\n",
        "",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "what waits for workers stays open where it cannot be completed",
        "engines/pipes.py",
        "        except BaseException:\n            self.close()\n            raise\n",
        "        except BaseException:\n            raise\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "pipes of a worker stay open that cannot be hired",
        "engines/forking.py",
        "        except BaseException:\n            self.let_go(worker)\n            raise\n",
        "        except BaseException:\n            raise\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "pipes of a worker stay open whose process cannot be started",
        "engines/spawning.py",
        "            os.close(tasks)\n            os.close(results)\n",
        "            pass\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "the socket of a template stays open that cannot be started",
        "engines/forking.py",
        "            theirs.close()\n",
        "            pass\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "a process stays that no thread reads from",
        "engines/spawning.py",
        "            self.process.kill()\n            self.process.wait()\n            self.end()\n",
        "",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "workers are forgotten where another cannot be hired",
        "engines/process.py",
        "        while len(self._workers) < self._wanted:\n            self._workers.append(self._crew.hire(len(self._workers)))\n",
        "        hired = range(len(self._workers), self._wanted)\n        self._workers += [self._crew.hire(number) for number in hired]\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "workers are forgotten where another cannot be let go",
        "engines/process.py",
        "        for worker in self._workers:  # which",
        "        workers, self._workers = self._workers, []\n        for worker in workers:  # which",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "the file of the pipeline stays open where it cannot be written",
        "engines/shipping.py",
        "            except BaseException:\n                os.close(fd)\n                raise\n",
        "            except BaseException:\n                raise\n",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "the file of the pipeline stays open where there is nobody to give it to",
        "engines/process.py",
        "            if self._payload is not None:\n                os.close(self._payload)\n            raise\n",
        "            raise\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "where no descriptor is left, the disk is tried",
        "engines/shipping.py",
        "            if for_now(error):\n",
        "            if False:\n",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "where no descriptor is left, workers are started in another way",
        "engines/forking.py",
        "            return for_now(error)",
        "            return False",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "memory that is not shared after all stays open",
        "engines/leases.py",
        "    except (OSError, MemoryError):\n        os.close(fd)\n",
        "    except (OSError, MemoryError):\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "what is kept beyond the budget fails without memory for a copy",
        "engines/leases.py",
        "            with suppress(OSError, MemoryError):\n",
        "            if True:\n",
        ("engines/test_slots.py",),
    ),
    Mutant(
        "a template that gives up is not heard",
        "engines/forking.py",
        "                gone = True\n        return",
        "                return b''\n        return",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "a template goes on with the pipes that it got",
        "engines/template.py",
        "        if len(fds) not in _GIVEN or",
        "        if len(fds) not in _GIVEN and",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "a message for which there is no memory fails all",
        "engines/frames.py",
        "                except (OSError, OverflowError, MemoryError, ValueError):\n",
        "                except ZeroDivisionError:\n",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "what follows such a message is out of step",
        "engines/frames.py",
        "                    self._unwanted = missing\n",
        "",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "a thread that cannot read the results of a worker hides them",
        "engines/spawning.py",
        "        except (OSError, MemoryError):  # what it sends",
        "        except ZeroDivisionError:  # what it sends",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "a worker whose thread cannot read tasks waits for ever",
        "engines/spawned.py",
        "            traceback.print_exc()\n            leave(1)\n        leave(0)  # also",
        "            return\n        leave(0)  # also",
        ("faults/test_resources.py",),
    ),
    Mutant(
        "an item that hangs is not answered where no thread replaces another",
        "engines/thread.py",
        "                    with suppress(WorkerStartError):  # told by the next look",
        "                    if True:  # told by the next look",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "a thread that was given up is not replaced later",
        "engines/thread.py",
        "            if desk.left:\n",
        "            if False:\n",
        ("faults/test_nth_call.py",),
    ),
    Mutant(
        "a thread that fails by itself tells nobody",
        "engines/thread.py",
        '            self._fatal = WorkerStartError(f"thread ',
        '            self._closed = WorkerStartError(f"thread ',
        ("faults/test_resources.py",),
    ),
    Mutant(
        "nobody looks after idle workers once a thread was refused",
        "prefetching/idle.py",
        "            start_thread(thread)\n            self._thread = thread\n",
        "            self._thread = thread\n            start_thread(thread)\n",
        ("faults/test_nth_call.py",),
    ),
]

_PRINTING = (
    "engines/test_printing.py",
    "engines/test_showing.py",
    "engines/test_outlets.py",
    "faults/test_printed.py",
)

_PRINTED = [
    Mutant(
        "a line without its end is not sent with the answer",
        "engines/printing.py",
        "                self.lines.settle()\n",
        "                pass\n",
        _PRINTING,
    ),
    Mutant(
        "a child that user code forks writes to the pipe",
        "engines/printing.py",
        "            os.register_at_fork(after_in_child=self._let_go)\n",
        "            pass\n",
        _PRINTING,
    ),
    Mutant(
        "what a signal handler prints gets into the midst of a message",
        "engines/printing.py",
        "            and not lock._is_owned()  # noqa: SLF001 -- as Condition does\n",
        "",
        _PRINTING,
    ),
    Mutant(
        "what was printed meanwhile is left behind",
        "engines/printing.py",
        "        if self._unsent:  # somebody printed meanwhile\n            self._hand_over()\n",
        "",
        _PRINTING,
    ),
    Mutant(
        "what a signal handler raises is taken for an error of the pipe",
        "engines/printing.py",
        "            if error.errno not in _GONE:  # as",
        "            if False:  # as",
        ("faults/test_printed.py",),
    ),
    Mutant(
        "a text is sent in more than a pipe takes in one step",
        "engines/printing.py",
        '_PIECE = getattr(select, "PIPE_BUF", 4096) - 128\n',
        "_PIECE = 1 << 16\n",
        _PRINTING,
    ),
    Mutant(
        "text for which there is no memory ends a worker",
        "engines/printing.py",
        "            except MemoryError:\n                data = _LOST\n",
        "            except ZeroDivisionError:\n                data = _LOST\n",
        _PRINTING,
    ),
    Mutant(
        "what a worker prints last is not shown by close",
        "engines/process.py",
        "                if worker.attached and not worker.keeps:\n                    self._taker.overhear(worker)\n",
        "                pass\n",
        _PRINTING,
    ),
    Mutant(
        "what a spawned worker prints last is not shown by close",
        "engines/process.py",
        "            if worker.keeps:\n                self._taker.overhear(worker)\n",
        "            pass\n",
        _PRINTING,
    ),
    Mutant(
        "what was begun is lost with the worker that dies",
        "engines/deaths.py",
        "        worker.heard.end()\n        self._crew.let_go(worker)\n",
        "        self._crew.let_go(worker)\n",
        ("faults/test_printed.py",),
    ),
    Mutant(
        "who waits for an item shows nothing",
        "engines/process.py",
        " or (wait and taker.heard):\n",
        ":\n",
        _PRINTING,
    ),
    Mutant(
        "what is printed is fetched without end while nobody reads",
        "engines/keeping.py",
        " or len(said) > MOST:\n",
        ":\n",
        _PRINTING,
    ),
    Mutant(
        "an item is given before what it has printed",
        "prefetching/driver.py",
        "        if said:  # before what came behind it is given\n            show()\n",
        "",
        _PRINTING,
    ),
    Mutant(
        "one that prints for ever is read from for ever",
        "engines/frames.py",
        "                left -= n\n",
        "",
        _PRINTING,
    ),
    Mutant(
        "a stream that raises costs an item",
        "engines/showing.py",
        "            except Exception as error:  # noqa: BLE001 -- streams",
        "            except ZeroDivisionError as error:  # noqa: BLE001 -- streams",
        _PRINTING,
    ),
    Mutant(
        "who was interrupted while it showed something keeps others from it",
        "engines/showing.py",
        "            if lock._is_owned():  # noqa: SLF001\n                lock.release()\n",
        "            pass\n",
        _PRINTING,
    ),
    Mutant(
        "a forked child shows what its parent is to show",
        "engines/showing.py",
        "        said.clear()\n",
        "",
        _PRINTING,
    ),
    Mutant(
        "a text that was cut off runs into the next",
        "engines/showing.py",
        "        if begins:\n            self.end()  #",
        "        if begins:\n            pass  #",
        _PRINTING,
    ),
]

MUTANTS = [*_ENGINE, *_DEALER, *_TEMPLATE, *_SPAWNED, *_VALUES, *_READERS, *_REFUSED, *_PRINTED]
