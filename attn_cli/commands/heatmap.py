"""`attn heatmap`: draws one head, several side by side, or all as a layer × head grid."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attn_cli.commands import options
from attn_cli.commands.inputs import check_steps, chosen_window, open_reading, selected_places, selection
from attn_cli.commands.pictures.canvas import canvas_of, with_features
from attn_cli.commands.pictures.heading import heading_of
from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.commands.results.hidden import hidden_keys_in, hidden_keys_of, remarks_on_keys
from attn_cli.commands.results.output import PICTURE_CELLS, drawn, shared_out, write
from attn_cli.commands.results.text_view import check_text_view, drawn_texts, texts_of
from attn_cli.commands.results.weight_scale import check_scale, scale_of_pictures
from attn_cli.commands.results.words import word_steps, words_of
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.show.writers import PICTURES, either
from attn_cli.vocabulary import Pool, Step

if TYPE_CHECKING:
    pass

_PICTURE = f"The picture to write: {either(PICTURES)}; may be repeated."


EXAMPLES = """
Every head of the model, layer by head:
    attn heatmap "the cat sat and the cat sat" -o all.png
One head, for a paper:
    attn heatmap "the cat sat and the cat sat" --heads 2.6 -o head.pdf
Where one word looks, as a text:
    attn heatmap "the cat sat and the cat sat" --rows cat@2 --as-text -o it.png
"""


def draw_heads(
    world: World,
    *,
    inputs: options.ReadingOptions,
    out: Annotated[list[Path] | None, options.out(_PICTURE)] = None,
    step: options.Steps = None,
    window: options.WindowOptions,
    text_view: options.TextViewOptions,
    scale: options.ScaleOptions,
    picture_options: PictureOptions,
    force: options.Force = False,
    compute: options.ComputeOptions,
) -> None:
    """Draw one head, several heads, or all of them as a picture.

    Several heads are drawn side by side, all heads of a model (without -l, -H or --heads) as a grid of
    layers by heads. Heads share one colour scale; each step has its own. Without -s, weights are drawn.

    With --as-text the text itself is drawn, each token on the colour of the weight that one query gives it.

    Colours of weights span 0 to 1, on a linear or a log scale, as the colour bar says. Beyond 1,024 tokens,
    the largest weight of each block is drawn; --rows and --columns draw a part in full.
    """
    if not out:
        raise UsageError("no file was given for the picture", "-o head.png")
    from attn_cli.reading.steps import head_steps  # NumPy: 0.1 s
    from attn_cli.show import files
    from attn_cli.show.grids import step_panels

    targets = files.targets(out, tuple(PICTURES), force=force)
    canvas = canvas_of(picture_options, targets)
    compute = with_features(compute, picture_options, inputs.source.model)
    steps = tuple(dict.fromkeys(step or (Step.WEIGHTS,)))
    if window.words:
        word_steps(steps)
    check_text_view(text_view, step)
    check_scale(scale, steps)
    reading = open_reading(world, inputs, compute, are_words=window.words)
    if text_view.as_text:
        shaded, texts = texts_of(world, reading, selection(inputs), window, is_mean=text_view.mean)
        picture_of = partial(drawn_texts, world, reading, shaded, texts, picture_options, canvas, scale)
        write(world, targets, PICTURES, picture_of, force=force)
        return
    places = selected_places(world, reading, selection(inputs))
    shown = chosen_window(world, reading, window, steps, shared_out(len(places), PICTURE_CELLS), Pool.MAX)
    heads = head_steps(reading, places, steps, shown)
    check_steps(world, reading, heads)
    drawn_steps = [step for step in steps if step in heads[0].steps]
    of_steps = scale_of_pictures(world, scale, heads)
    groups = [step_panels(reading.sides_of_pictures, heads, step, of_steps) for step in drawn_steps]
    hidden = hidden_keys_of(reading, hidden_keys_in(heads[0]))
    name = heading_of(world, reading, picture_options, places, words_of(reading), hidden)
    for remark in remarks_on_keys(reading, heads):
        world.note(remark)
    write(world, targets, PICTURES, lambda: drawn(world, groups, name, picture_options, canvas), force=force)
