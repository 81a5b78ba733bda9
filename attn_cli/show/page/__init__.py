"""One self-contained HTML page with every weight of every head of a text: `attn report`.

Python side, one idea each:

- `cells.py` numbers of one head as bytes: quantised or float32, only where the query may look;
- `payload.py` the lines of all heads, compressed by threads while the next layer runs;
- `document.py` the metadata, as one JSON object; `table.py` one head for readers without scripts;
- `script.py` the modules of `script/` as one inline script, in the order of their imports;
  `compact.py` leaves out what only their readers need;
- `writing.py` the template, the style sheet, the script with its hash, and the data blocks as one file.

The page's data are three blocks. `<script type="application/json" id="about">` is the object of
`document.py`. `<script type="text/plain" id="weights">` has one line per entry: base64 of a raw deflate
stream (RFC 1951). The lines that the head to begin with is drawn from are empty there: they stand in
`id="early"`, each after its number and a space, before the script, which runs while the browser parses the
others. Entries are numbered from 0 and referred to by number:

- a head: `kind.first + index of its layer in kind.layers * kind.heads + head`. The stream has one number for
  every visible cell of the (T, S) matrix, column after column, then, if its layer has a learned sink, T
  numbers that the sink takes. A number is `round(weight * 255)` in a byte; with 12 bits
  `round(weight * 4095)`, first the upper 8 bits of all numbers, then the lower 4, two in a byte, the first
  one in its upper half;
- a mask: which cells are visible, as bits, column after column, the first one in the highest bit.
  `kind.masks` has its entry for each layer; layers with the same mask share it;
- a step of an exact head: float32, the four bytes of all numbers one after the other, the lowest first: all
  lowest bytes, then all second bytes, and so on. Pairwise steps have the visible cells as above, others all
  numbers row after row. `exact[i].steps` names the entry and the shape of each; two steps with the same
  numbers share one.

`texts[i].words` has the words of several tokens: the label and the positions of each; `null`: the tokenizer
does not tell them. `begin` is the state that the page begins with, `choices` what its parts may be,
`next` the prediction after the last token, and `next.to` for each kind where its button leads to: the head
that adds most to the prediction, and the key that this head looks at most. `kinds[i].patterns` has the
pattern, the share, both as text, and what the share was measured on.

- whole rows of a head at every key, also if its weights are pooled: float32 as in a step, row after row, NaN
  where the query may not look, then what a learned sink takes of each. `rows` has the entry and the queries.

Of a long text a cell is the largest weight of a block of `kind.cells` queries and keys.

Modules of the page, in `script/`; those further down import only those above them:

In the page they share one scope, without imports: no two have a name in common. `main.js` gives
the console (and tests) `attn.about`, `attn.headAt(place)`, `attn.cellAt(cell)`, `attn.state` and
`attn.change(part)`.

- `page.js` the metadata, and small functions on elements; `canvases.js` the same on canvases, and their
  colours; `lists.js` lists whose lines are chosen; `entries.js` inflates entries;
- `heads.js` the weights of a head: matrix, mask, sink, exact steps; kept for the last ones asked for;
- `state.js` what is shown, as one object with listeners, and as the fragment of the address;
- `colours.js` scales, from a number to a colour, light and dark, and from many to a picture; `numbers.js`
  numbers and tokens as text;
- `shown.js` a head as views show it: words merged, hidden keys in one column, rows divided, the difference
  of two heads; each with how far it may be off;
- in `views/`: `overview.js` the layer × head map and the thumbnails; `places.js` the scatter and the list
  of heads; `matrix.js` the matrices; `readout.js` the chosen head and cell in words; `lines.js` lines
  between tokens; `text.js` the text, shaded; `row.js` the chosen row, sorted, and as CSV; `whole.js`
  whole rows; `cell.js` the chosen cell, step by step;
- `controls.js` buttons and choices: an element with `data-set` sets a part of the state, one with
  `data-when` is shown for some values of it;
- `picture.js` a section as SVG: views draw once more, on contexts that record; `save.js` files and the
  clipboard; `command.js` the command that shows the same in a terminal;
- `keys.js` the keyboard, and what is read aloud: a key presses the button, or turns the choice, that names
  it in `aria-keyshortcuts`; `main.js` starts them.

A view is a function that draws the state into its element; it registers itself with `onChange`, writes only
by `change`, and creates text only as text nodes. Every part of the state but `hover` is in the address. A
view that draws on a canvas gets its context from `sharpen`, so that it is saved as SVG too; what is chosen on
a canvas is an element over it, which the Tab key and arrow keys reach and screen readers read. A new view is
a new module, an element in `page.html` and an import in `main.js`.
"""
