"""The commands and their options: one function a command, which imports its module when it is called: `--help` is quick."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from torchtty.tui.cli import completion
from torchtty.tui.cli.console import UsageError

EPILOG = "RUN is a run's name, the beginning of one, or latest. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."
NO_FALLBACK = "Fail if a recipe's download fails, instead of training its offline fallback."
TRAIN, INSPECT, FILES, MACHINE = "Train", "Inspect", "Files", "This machine"
SWEPT = (
    "What to start from; FILE is a configuration or a sweep in TOML. A SETTING is --section.field VALUES, or --field VALUES: "
    "'torchtty train MODEL --help' lists them."
)
RACED = (
    "A dataset or a text of yours to race on; given-names if left out. A SETTING is --section.field VALUE, for every model "
    "that has it."
)
TAKES_SETTINGS = {"ignore_unknown_options": True, "allow_extra_args": True}

app = typer.Typer(
    name="torchtty",
    help="A playground for small neural networks. Without a command: the app.",
    epilog=EPILOG,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's name, the beginning of one, or latest.", autocompletion=completion.runs
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, on stdout.")]
Detach = Annotated[
    bool, typer.Option("--detach", help="Return once the run trains or is queued; it continues in the background.")
]
Given = str | None  # as typed: the run's own settings say what is valid


def _taking(metavar: str, about: str, complete: Any = None) -> Any:
    return typer.Option(metavar=metavar, help=about, autocompletion=complete)


def _place(metavar: str, about: str = "", complete: Any = None) -> Any:
    return typer.Argument(metavar=metavar, help=about or None, autocompletion=complete)


# The errors of the parser; Typer brings its own copy of Click from some version on, and exports no base class.
ParserError: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments ask for; return its exit code."""
    command = typer.main.get_command(app)
    if completion.VARIABLE in os.environ:  # the shell asks what could stand here, and the answer ends the process
        return completion.answer(command)
    try:
        with command.make_context("torchtty", list(arguments)) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as end:
        return int(end.exit_code)
    except ParserError as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "torchtty")
        message = error.format_message()  # type: ignore[attr-defined]
        message = message.rstrip(".")  # from some versions on a question ends it
        raise UsageError(f"{message}{'' if message.endswith('?') else '.'}\n'{path} --help' shows how.") from None


def _show_version(wanted: bool) -> None:
    if wanted:
        from torchtty.tui.cli.doctor import version

        raise typer.Exit(version())


@app.callback()
def _torchtty(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


@app.command(
    cls=completion.TakesSettings, context_settings=TAKES_SETTINGS, add_help_option=False, rich_help_panel=TRAIN
)
def train(
    arguments: Annotated[
        list[str] | None, _place("MODEL|RECIPE [--section.field VALUE …]", complete=completion.start_and_values)
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The run's name.")] = None,
    no_fallback: Annotated[bool, typer.Option("--no-fallback", help=NO_FALLBACK)] = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> int:
    """Train a model and follow it; 'train MODEL --help' lists its settings."""
    from torchtty.tui.cli.train import train

    return train(arguments or [], name, detach=detach, as_json=as_json, falls_back=not no_fallback)


@app.command(cls=completion.TakesSettings, context_settings=TAKES_SETTINGS, rich_help_panel=TRAIN)
def sweep(
    arguments: Annotated[
        list[str] | None, _place("MODEL|RECIPE|FILE [SETTING …]", SWEPT, completion.start_and_values)
    ] = None,
    plan: Annotated[
        Given,
        _taking(
            "PLAN",
            "grid (the default), random, halving, optuna, optuna-qmc, optuna-cmaes or optuna-gp.",
            completion.plans,
        ),
    ] = None,
    runs: Annotated[int | None, _taking("N", "How many runs a plan draws.")] = None,
    plan_seed: Annotated[
        int | None,
        typer.Option("--plan-seed", metavar="N", help="Fixes what a plan draws; --seed is that of the runs."),
    ] = None,
    resume: Annotated[
        Given, _taking("NAME", "Go on with a sweep that was stopped, or that died.", completion.groups)
    ] = None,
    workers: Annotated[int | None, _taking("N", "How many runs or batches train side by side.")] = None,
    cluster: Annotated[Given, _taking("CLUSTER", "Train by jobs: slurm, or local to try it on this machine.")] = None,
    job: Annotated[
        list[str] | None,
        _taking(
            "NAME=VALUE",
            "What each job is given: minutes, cpus, memory (GB), gpus, partition, account; again for more.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The sweep's name.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and start nothing.")] = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> int:
    """Train a run for every combination of the values given, or as a plan chooses; a recipe with a grid needs none.

    VALUES: 1,2  1..10  1e-4..1e-1 log 7  0..0.5 lin 6  adam,sgd  a.txt,b.txt
    """
    from torchtty.tui.cli.sweep import cluster_of, sweep

    options = {"plan": plan, "runs": runs, "seed": plan_seed}
    return sweep(
        arguments or [],
        options,
        name=name,
        resume=resume,
        workers=workers,
        detach=detach,
        as_json=as_json,
        dry_run=dry_run,
        cluster=cluster_of(cluster, job or []),
    )


@app.command(context_settings=TAKES_SETTINGS, rich_help_panel=TRAIN)
def race(
    arguments: Annotated[list[str] | None, _place("DATASET|FILE [SETTING …]", RACED, completion.datasets)] = None,
    seconds: Annotated[
        float | None, _taking("S", "Seconds of training of each model; 30 if no budget is given.")
    ] = None,
    steps: Annotated[int | None, _taking("N", "Steps of each model.")] = None,
    flops: Annotated[float | None, _taking("F", "Floating-point operations of each model, such as 1e12.")] = None,
    recipes: Annotated[
        Given, _taking("NAME,…", "The recipes and models that take part; every model that learns texts if left out.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The race's name.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and start nothing.")] = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> int:
    """Train models on one text under one budget, and say what each idea buys in bits per character.

    Such as: torchtty race given-names --seconds 20 --training.seed 3
    """
    from torchtty.engine.contract.experiments.race import BudgetKind
    from torchtty.tui.cli.race import race

    budgets = {BudgetKind.SECONDS: seconds, BudgetKind.STEPS: steps, BudgetKind.FLOPS: flops}
    return race(arguments or [], budgets, recipes, name=name, dry_run=dry_run, detach=detach, as_json=as_json)


@app.command(
    cls=completion.TakesSettings, context_settings=TAKES_SETTINGS, add_help_option=False, rich_help_panel=TRAIN
)
def resume(
    arguments: Annotated[
        list[str] | None, _place("RUN [--section.field VALUE …]", complete=completion.run_and_values)
    ] = None,
    detach: Detach = False,
    changed_data: Annotated[
        bool, typer.Option("--changed-data", help="Continue although the data have changed since the run began.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Continue a run that is paused or ended; a finished one needs more --training.max_steps, or its rule lifted."""
    from torchtty.tui.cli.train import resume

    return resume(arguments or [], detach=detach, changed_data=changed_data, as_json=as_json)


@app.command(
    cls=completion.TakesSettings, context_settings=TAKES_SETTINGS, add_help_option=False, rich_help_panel=TRAIN
)
def fork(
    arguments: Annotated[
        list[str] | None, _place("RUN [--section.field VALUE …]", complete=completion.run_and_values)
    ] = None,
    step: Annotated[
        int | None, typer.Option("--step", metavar="N", help="The checkpoint to begin at; the latest if left out.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The new run's name.")] = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> int:
    """Begin a new run at a checkpoint of another, or a group anew, with changed settings, and follow it."""
    from torchtty.tui.cli.fork import fork

    return fork(arguments or [], step, name, detach=detach, as_json=as_json)


@app.command(rich_help_panel=TRAIN)
def pin(
    run: Run,
    step: Annotated[int, typer.Argument(metavar="STEP", help="The step of a checkpoint that the run has.")],
    off: Annotated[bool, typer.Option("--off", help="Let it go again: retention may remove it.")] = False,
) -> int:
    """Keep the checkpoint of a step, whatever comes after it."""
    from torchtty.tui.cli.fork import pin

    return pin(run, step, off=off)


@app.command(rich_help_panel=TRAIN)
def stop(run: Run) -> int:
    """Stop a run with a checkpoint."""
    from torchtty.tui.cli.requests import stop

    return stop(run)


@app.command(rich_help_panel=TRAIN)
def pause(run: Run) -> int:
    """Pause a run and free its device until it is resumed."""
    from torchtty.tui.cli.requests import pause

    return pause(run)


@app.command(rich_help_panel=TRAIN)
def advance(run: Run) -> int:
    """Let a queued run go ahead of your other runs that wait for the same device."""
    from torchtty.tui.cli.requests import advance

    return advance(run)


@app.command(rich_help_panel=TRAIN)
def set(
    run: Run,
    changes: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE …", help="Such as learning_rate=3e-4.")],
    as_json: AsJson = False,
) -> int:
    """Change settings of a run while it trains or is paused."""
    from torchtty.tui.cli.set import set_live

    return set_live(run, changes, as_json=as_json)


@app.command(rich_help_panel=TRAIN)
def checkpoint(run: Run, as_json: AsJson = False) -> int:
    """Save a checkpoint of a run now, while it trains or is paused."""
    from torchtty.tui.cli.set import checkpoint

    return checkpoint(run, as_json=as_json)


@app.command(rich_help_panel=TRAIN)
def replay(
    run: Run,
    to: Annotated[Given, _taking("STEP", "Stop after this step.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the run that the replay trains.")] = False,
    as_json: AsJson = False,
) -> int:
    """Train a run again by its record, live edits included, and compare the two bit for bit."""
    from torchtty.tui.cli.replay import replay

    return replay(run, to, keep=keep, as_json=as_json)


@app.command(rich_help_panel=TRAIN)
def release(
    run: Annotated[
        Given, _place("[RUN]", "A run whose model is in memory; without one, every such run.", completion.runs)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run whose model is in memory.")] = False,
) -> int:
    """Release the model that a finished run keeps in memory to answer prompts."""
    from torchtty.tui.cli.release import release

    return release(run, everything=everything)


@app.command(rich_help_panel=TRAIN)
def sample(
    run: Run,
    prompt: Annotated[Given, _taking("TEXT", "The beginning of the text, which the model continues.")] = None,
    count: Annotated[Given, _taking("N", "How many texts.")] = None,
    max_tokens: Annotated[Given, _taking("N", "The most tokens a text may have.")] = None,
    temperature: Annotated[Given, _taking("X", "Below 1 favours likely tokens; 0 always takes the likeliest.")] = None,
    top_k: Annotated[Given, _taking("K", "Draw only from the K likeliest tokens; none for all.")] = None,
    top_p: Annotated[Given, _taking("P", "Draw only from the likeliest tokens that sum to P; none for all.")] = None,
    seed: Annotated[Given, _taking("N", "The same seed draws the same text.")] = None,
    as_json: AsJson = False,
) -> int:
    """Draw samples from a run, also while it trains. Options that are left out are the run's own settings."""
    from torchtty.tui.cli.requests import sample

    given = {"prompt": prompt, "count": count, "max_tokens": max_tokens, "temperature": temperature}
    return sample(run, given | {"top_k": top_k, "top_p": top_p, "seed": seed}, as_json=as_json)


@app.command(rich_help_panel=TRAIN)
def reproduce(
    recipes: Annotated[list[str] | None, _place("[RECIPE …]", complete=completion.recipes)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every recipe that ships.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="The short form of each recipe.")] = False,
    as_json: AsJson = False,
) -> int:
    """Run recipes and compare the results with the figures that they name."""
    from torchtty.tui.cli.reproduce import reproduce

    return reproduce(recipes or [], everything=everything, quick=quick, json_wanted=as_json)


@app.command(rich_help_panel=INSPECT)
def runs(
    columns: Annotated[
        str, _taking("NAME,…", "What is shown, such as name,lr,best,smoothed,tags.", completion.columns)
    ] = "",
    sort: Annotated[str, _taking("NAME", "The column by which they are sorted.", completion.orders)] = "",
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    filter: Annotated[
        str,
        typer.Option("--filter", metavar="TERMS", help="Only those that fit, such as 'model:gpt lr>=1e-3 val<1.9'."),
    ] = "",
    as_json: AsJson = False,
) -> int:
    """List every run, the newest first.

    Names are those of the guide's page on runs: facts such as state, best, time or note, every setting and every metric.
    """
    from torchtty.tui.cli.runs import runs

    return runs(columns=columns, sort=sort, reverse=reverse, filter=filter, as_json=as_json)


@app.command(rich_help_panel=INSPECT)
def show(run: Run, as_json: AsJson = False) -> int:
    """Show a run: losses, samples, settings, provenance."""
    from torchtty.tui.cli.show import show

    return show(run, as_json=as_json)


@app.command(rich_help_panel=INSPECT)
def results(
    group: Annotated[str, _place("GROUP", "A group's name, or latest.", completion.groups)],
    rows: Annotated[str, typer.Option("--rows", metavar="FIELD", help="The setting whose values are the rows.")] = "",
    columns: Annotated[
        str, typer.Option("--columns", metavar="FIELD,…", help="The settings whose values are the columns.")
    ] = "",
    metric: Annotated[str, typer.Option("--metric", metavar="NAME", help="Such as val_loss.")] = "",
    at: Annotated[str, typer.Option("--at", metavar="STEP,…", help="Steps, last or best (the lowest).")] = "",
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="md, csv, latex or json.")] = "",
    as_json: AsJson = False,
) -> int:
    """Print the tables of a group, also while it trains: losses, mean and sd, settings compared, stabilisation."""
    from torchtty.tui.cli.results import results

    return results(group, rows, columns, metric, at, "json" if as_json else form)


@app.command(rich_help_panel=INSPECT)
def test(run: Run, as_json: AsJson = False) -> int:  # noqa: PT028 - a command
    """Evaluate a run's test split with its best weights, also while it trains."""
    from torchtty.tui.cli.requests import test

    return test(run, as_json=as_json)


@app.command(rich_help_panel=INSPECT)
def diagnose(run: Run, as_json: AsJson = False) -> int:
    """Say what is wrong with a run, what shows it, and which change to try."""
    from torchtty.tui.cli.diagnose import diagnose

    return diagnose(run, as_json=as_json)


@app.command(context_settings=TAKES_SETTINGS, add_help_option=False, rich_help_panel=INSPECT)
def lens(
    arguments: Annotated[
        list[str] | None, _place("[LENS [RUN [--option VALUE …]]]", complete=completion.lenses_and_runs)
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Look into a run's model, also while it trains; 'lens' lists the lenses, 'lens NAME --help' the options of one."""
    from torchtty.tui.cli.lens import lens

    return lens(arguments or [], as_json=as_json)


@app.command(rich_help_panel=INSPECT)
def data(
    dataset: Annotated[
        Given, _place("[NAME|PATH|-]", "A dataset, or a text of yours to look into.", completion.datasets)
    ] = None,
    field: Annotated[Given, _taking("NAME", "The field or column that holds the text.")] = None,
    format: Annotated[Given, _taking("FORMAT", "plain, json-lines or csv; else the file's ending tells.")] = None,
    encoding: Annotated[Given, _taking("NAME", "Such as latin-1; else the bytes tell.")] = None,
    unit: Annotated[Given, _taking("UNIT", "items or text; else the lines tell.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the datasets, or look into one, or into a text, a table or a folder of yours before you train on it."""
    from torchtty.tui.cli.data import data

    given = {"field": field, "format": format, "encoding": encoding, "unit": unit}
    return data(dataset, {name: value for name, value in given.items() if value is not None}, as_json=as_json)


@app.command(rich_help_panel=INSPECT)
def models(
    model: Annotated[
        Given, _place("[MODEL|RECIPE]", "A model or recipe whose settings are listed.", completion.models_and_recipes)
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List models and recipes, or the settings of one."""
    from torchtty.tui.cli.models import models

    return models(model, as_json=as_json)


@app.command(rich_help_panel=INSPECT)
def recipes(
    delete: Annotated[str | None, typer.Option("--delete", metavar="NAME", help="Delete one of your own.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the recipes, those that ship and your own; the app saves settings as one."""
    from torchtty.tui.cli.models import list_recipes

    return list_recipes(delete=delete, as_json=as_json)


@app.command(rich_help_panel=INSPECT)
def guide(
    page: Annotated[Given, _place("[PAGE]", "A page; without one they are listed.", completion.pages)] = None,
) -> int:
    """Print a page of the guide, as the app's help shows it."""
    from torchtty.tui.cli.doctor import guide

    return guide(page)


@app.command(rich_help_panel=INSPECT)
def learn() -> int:
    """Open the app in Learn: a tour, a transformer by hand, losses, optimizers on a surface."""
    from torchtty.tui.cli.learn import learn

    return learn()


@app.command(rich_help_panel=FILES)
def export(
    run: Run,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A file or folder to write; - writes text to stdout.")
    ],
    kind: Annotated[
        Given, typer.Option("--as", metavar="KIND", help="What to write, where TARGET's ending does not say.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    chart: Annotated[str, typer.Option("--chart", metavar="NAME", help="Which chart; the first without it.")] = "",
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", metavar="STEP", help="Which weights: a step, best or latest.")
    ] = "latest",
    as_json: AsJson = False,
) -> int:
    """Export metrics, a chart, samples, weights or the whole run, also while it trains.

    Kinds: metrics-csv, metrics-jsonl, chart-svg, chart-png, samples, tensorboard, weights, transformers, archive.
    """
    from torchtty.tui.cli.files import export

    return export(run, target, kind, force=force, chart=chart, checkpoint=checkpoint, as_json=as_json)


@app.command("import", rich_help_panel=FILES)
def import_(
    archive: Annotated[str, typer.Argument(metavar="ARCHIVE", help="A .tar.gz or .zip that export has written.")],
    name: Annotated[Given, typer.Option("--name", help="The run's name; otherwise its own.")] = None,
    as_json: AsJson = False,
) -> int:
    """Import a run that was exported as an archive, here or elsewhere."""
    from torchtty.tui.cli.files import import_archive

    return import_archive(archive, name, as_json=as_json)


@app.command(rich_help_panel=FILES)
def delete(
    runs: Annotated[list[str], _place("RUN …", "Names, beginnings of names, or latest.", completion.runs)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Delete runs, and groups with theirs, from the disk, after asking."""
    from torchtty.tui.cli.files import delete

    return delete(runs, confirmed=yes)


@app.command(rich_help_panel=FILES)
def rename(run: Run, new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")]) -> int:
    """Give a run, or a group with its runs, another name."""
    from torchtty.tui.cli.files import rename

    return rename(run, new)


@app.command(rich_help_panel=FILES)
def star(
    runs: Annotated[list[str], _place("RUN …", "Names, beginnings of names, or latest.", completion.runs)],
    off: Annotated[bool, typer.Option("--off", help="Take it away.")] = False,
) -> int:
    """Give runs a star."""
    from torchtty.tui.cli.marks import star

    return star(runs, off=off)


@app.command(rich_help_panel=FILES)
def tag(
    run: Run,
    tags: Annotated[list[str] | None, _place("[TAG …]", "Without any, its tags are printed.", completion.tags)] = None,
    off: Annotated[bool, typer.Option("--off", help="Remove these tags.")] = False,
) -> int:
    """Tag a run, so that 'runs --filter tag:…' finds it."""
    from torchtty.tui.cli.marks import tag

    return tag(run, tags or [], off=off)


@app.command(rich_help_panel=FILES)
def note(
    run: Run,
    text: Annotated[Given, _place("[TEXT]", "One line; without it, the note is printed.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Remove the note.")] = False,
) -> int:
    """Write a note to a run in place of the one that it has."""
    from torchtty.tui.cli.marks import note

    return note(run, text, off=off)


@app.command(rich_help_panel=MACHINE)
def doctor(as_json: AsJson = False) -> int:
    """Check everything that torchtty needs: terminal, Python, torch, devices, folders."""
    from torchtty.tui.cli.doctor import doctor

    return doctor(as_json=as_json)


@app.command(rich_help_panel=MACHINE)
def bench(
    only: Annotated[list[str] | None, _taking("NAME", "Measure only this; can be repeated.")] = None,
    file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the figures to a file as well.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repetitions: two minutes instead of six.")] = False,
) -> int:
    """Measure speed, memory and traffic, and compare them with their targets."""
    from torchtty.tui.cli.bench import bench

    return bench(only or [], file, quick=quick)
