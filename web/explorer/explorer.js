/* The explorer: what each system puts first, for one toy scene or one
   sentence. Plain JavaScript; the data comes from data.js beside it. */
(function () {
  "use strict";
  var data = window.rsirExplorer;
  var home = document.getElementById("ex-home");
  if (!home || !data) return;

  var texts = data.scenes.texts, kinds = data.scenes.kinds;
  var captions = data.scenes.captions;
  var owners = texts.map(function () { return []; });
  captions.forEach(function (list, image) {
    list.forEach(function (text) { owners[text].push(image); });
  });
  var kindNames = Array.from(new Set(kinds)).sort();
  var state = { way: "t2i", query: 0, stage: "first" };

  function get(id) { return document.getElementById("ex-" + id); }

  function make(tag, options, children) {
    var node = document.createElement(tag);
    Object.keys(options || {}).forEach(function (name) {
      if (name === "text") node.textContent = options.text;
      else if (name === "click") node.addEventListener("click", options.click);
      else node.setAttribute(name, options[name]);
    });
    (children || []).forEach(function (child) {
      if (child) node.appendChild(child);
    });
    return node;
  }

  function readable(kind) { return kind.replace(/_/g, " "); }

  /* -- data ---------------------------------------------------------- */

  /* One query in a packed text: place of the best right item, then the
     items on top. Two digits of base 36 a number. */
  function answer(system, stage, way, query) {
    var packed = (system.stages[stage] || system.stages.first)[way];
    var width = 2 * (data.top + 1), from = query * width, numbers = [];
    for (var i = from; i < from + width; i += 2) {
      numbers.push(parseInt(packed.substr(i, 2), 36));
    }
    return { place: numbers[0], items: numbers.slice(1) };
  }

  function right(way, query) {
    return way === "t2i" ? owners[query] : captions[query];
  }

  function hasStage(system) {
    return Object.prototype.hasOwnProperty.call(system.stages, state.stage);
  }

  /* -- pictures ------------------------------------------------------ */

  function tile(image, options) {
    var rows = Math.ceil(kinds.length / data.columns);
    var x = (image % data.columns) / (data.columns - 1) * 100;
    var y = Math.floor(image / data.columns) / (rows - 1) * 100;
    var node = make("span", options || {});
    node.classList.add("ex-tile");
    node.style.backgroundSize = data.columns * 100 + "% " + rows * 100 + "%";
    node.style.backgroundPosition = x + "% " + y + "%";
    return node;
  }

  function describe(image) {
    return readable(kinds[image]) + ": " + texts[captions[image][0]];
  }

  /* -- what was found ------------------------------------------------ */

  function mark(hit) {
    return hit ? make("span", { "class": "ex-mark", text: "\u2713 hit" })
      : null;
  }

  function picture(image, hit, number) {
    var button = make("button", {
      type: "button", "class": "ex-pick",
      title: texts[captions[image][0]],
      "aria-label": "Place " + number + (hit ? ", hit" : "") + ". " +
        describe(image) + ". Ask with this picture.",
      click: function () { go({ way: "i2t", query: image }, true); }
    }, [tile(image), mark(hit)]);
    return make("li", { "class": hit ? "hit" : "" }, [button]);
  }

  function line(text, hit, number) {
    var button = make("button", {
      type: "button", "class": "ex-sentence",
      "aria-label": "Place " + number + (hit ? ", hit" : "") + ". " +
        texts[text] + ". Ask with this sentence.",
      click: function () { go({ way: "t2i", query: text }, true); }
    }, [make("span", { text: texts[text] }), mark(hit)]);
    return make("li", { "class": hit ? "hit" : "" }, [button]);
  }

  function list(found, label) {
    var good = right(state.way, state.query);
    var pictures = state.way === "t2i";
    return make("ol", {
      "class": pictures ? "ex-pictures" : "ex-sentences",
      "aria-label": label
    }, found.items.map(function (item, i) {
      var hit = good.indexOf(item) >= 0;
      return (pictures ? picture : line)(item, hit, i + 1);
    }));
  }

  function placeWords(system) {
    var first = answer(system, "first", state.way, state.query).place;
    var what = state.way === "t2i" ? "Own picture" : "First own sentence";
    if (state.stage === "first") return what + " at place " + first + ".";
    if (!hasStage(system)) {
      return what + " at place " + first +
        "; this system has no second stage of its own.";
    }
    var after = answer(system, state.stage, state.way, state.query).place;
    var turn = after < first ? "better" : after > first ? "worse" : "the same";
    return what + " at place " + first + " before, " + after +
      " after: " + turn + ".";
  }

  function nameOf(system) {
    return system.name.charAt(0).toUpperCase() + system.name.slice(1);
  }

  function section(system) {
    var name = nameOf(system);
    var lists = [];
    var first = answer(system, "first", state.way, state.query);
    if (state.stage === "first" || !hasStage(system)) {
      lists.push(list(first, name + ", top ten"));
    } else {
      var after = answer(system, state.stage, state.way, state.query);
      lists.push(make("h3", { text: "Before" }));
      lists.push(list(first, name + ", before the second look"));
      lists.push(make("h3", { text: "After" }));
      lists.push(list(after, name + ", after the second look"));
    }
    return make("section", { "class": "ex-system",
                             "data-system": system.method }, [
      make("h2", { text: name }),
      make("p", { "class": "ex-place", text: placeWords(system) })
    ].concat(lists));
  }

  /* -- controls ------------------------------------------------------ */

  function fill(select, pairs, value) {
    select.replaceChildren.apply(select, pairs.map(function (pair) {
      return make("option", { value: pair[0], text: pair[1] });
    }));
    select.value = String(value);
  }

  /* Of a sentence with several pictures: the kind that is chosen, if it
     is one of theirs. */
  function kindOf(way, query) {
    if (way === "i2t") return kinds[query];
    var chosen = get("kind").value;
    var among = owners[query].map(function (image) { return kinds[image]; });
    return among.indexOf(chosen) >= 0 ? chosen : among[0];
  }

  function ofKind(kind) {
    var images = [], sentences = [];
    kinds.forEach(function (name, image) {
      if (name !== kind) return;
      images.push(image);
      captions[image].forEach(function (text) {
        if (sentences.indexOf(text) < 0) sentences.push(text);
      });
    });
    return { images: images, sentences: sentences };
  }

  function controls() {
    var kind = get("kind").value, group = ofKind(kind);
    var sentence = state.way === "t2i";
    get("t2i").checked = sentence;
    get("i2t").checked = !sentence;
    get("sentence-row").hidden = !sentence;
    get("picture-row").hidden = sentence;
    if (sentence) {
      fill(get("sentence"), group.sentences.map(function (text) {
        return [text, texts[text]];
      }), state.query);
      return;
    }
    get("pictures").replaceChildren.apply(
      get("pictures"), group.images.map(function (image, i) {
        var radio = make("input", { type: "radio", name: "ex-picture",
                                    value: image });
        radio.checked = image === state.query;
        radio.addEventListener("change", function () {
          go({ query: image });
        });
        return make("label", { "class": "ex-choice" }, [
          radio, tile(image),
          make("span", { "class": "ex-hidden",
                         text: (i + 1) + ". " + describe(image) })
        ]);
      }));
  }

  function asked() {
    if (state.way === "t2i") {
      return make("p", { "class": "ex-asked" }, [
        make("span", { text: "\u201c" + texts[state.query] + "\u201d" })
      ]);
    }
    return make("figure", { "class": "ex-asked" }, [
      tile(state.query, { role: "img",
                          "aria-label": describe(state.query) }),
      make("figcaption", { text: readable(kinds[state.query]) })
    ]);
  }

  function said() {
    var words = data.systems.map(function (system) {
      return nameOf(system) + ": " +
        placeWords(system);
    });
    return words.join(" ");
  }

  function draw() {
    get("asked").replaceChildren(asked());
    get("found").replaceChildren.apply(
      get("found"), data.systems.map(section));
    get("said").textContent = said();
  }

  function remember() {
    var hash = "#way=" + state.way + "&query=" + state.query +
      "&stage=" + state.stage;
    if (window.location.hash !== hash) {
      window.history.replaceState(null, "", hash);
    }
  }

  /* Change some of the state and show it. `jump`: the change came from a
     result, so the reader's place moves to the query. */
  function go(change, jump) {
    var before = state.way + kindOf(state.way, state.query);
    Object.keys(change).forEach(function (name) {
      state[name] = change[name];
    });
    var kind = kindOf(state.way, state.query);
    get("kind").value = kind;
    get("stage").value = state.stage;
    if (jump || before !== state.way + kind) controls();
    else if (state.way === "t2i") get("sentence").value = String(state.query);
    else checkPicture();
    draw();
    remember();
    if (jump) get("asked").focus();
  }

  function checkPicture() {
    home.querySelectorAll("input[name=ex-picture]").forEach(function (radio) {
      radio.checked = Number(radio.value) === state.query;
    });
  }

  function count(way) {
    return way === "t2i" ? texts.length : kinds.length;
  }

  function any() {
    go({ query: Math.floor(Math.random() * count(state.way)) }, false);
    controls();
  }

  /* The queries whose places differ most between systems, in turn. */
  var turn = { t2i: 0, i2t: 0 };
  function differ() {
    var way = state.way, all = [];
    for (var query = 0; query < count(way); query += 1) {
      var places = data.systems.map(function (system) {
        return answer(system, "first", way, query).place;
      });
      var low = Math.min.apply(null, places);
      all.push([Math.log(Math.max.apply(null, places) / low), query]);
    }
    all.sort(function (a, b) { return b[0] - a[0] || a[1] - b[1]; });
    go({ query: all[turn[way] % 40][1] }, false);
    turn[way] += 1;
    controls();
  }

  function fromHash() {
    var known = new URLSearchParams(window.location.hash.slice(1));
    var way = known.get("way"), query = Number(known.get("query"));
    var stage = known.get("stage");
    if (way === "t2i" || way === "i2t") state.way = way;
    if (known.has("query") && Number.isInteger(query) && query >= 0 &&
        query < count(state.way)) {
      state.query = query;
    }
    if (usedStages().indexOf(stage) >= 0) state.stage = stage;
  }

  function usedStages() {
    return Object.keys(data.stages).filter(function (name) {
      return data.systems.some(function (system) {
        return Object.prototype.hasOwnProperty.call(system.stages, name);
      });
    });
  }

  /* -- begin --------------------------------------------------------- */

  state.query = texts.findIndex(function (text) {
    return /boats/.test(text) && /harbou?r/.test(text);
  });
  if (state.query < 0) state.query = 0;
  fromHash();
  fill(get("kind"), kindNames.map(function (kind) {
    return [kind, readable(kind)];
  }), kindOf(state.way, state.query));
  fill(get("stage"), usedStages().map(function (name) {
    return [name, data.stages[name]];
  }), state.stage);
  home.hidden = false;
  controls();
  draw();

  get("t2i").addEventListener("change", function () {
    go({ way: "t2i", query: ofKind(get("kind").value).sentences[0] });
    controls();
  });
  get("i2t").addEventListener("change", function () {
    go({ way: "i2t", query: ofKind(get("kind").value).images[0] });
    controls();
  });
  get("kind").addEventListener("change", function () {
    var group = ofKind(get("kind").value);
    var query = state.way === "t2i" ? group.sentences[0] : group.images[0];
    state.query = query;
    controls();
    draw();
    remember();
  });
  get("sentence").addEventListener("change", function () {
    go({ query: Number(get("sentence").value) });
  });
  get("stage").addEventListener("change", function () {
    go({ stage: get("stage").value });
  });
  get("any").addEventListener("click", any);
  get("differ").addEventListener("click", differ);
  get("form").addEventListener("submit", function (event) {
    event.preventDefault();
  });
}());
