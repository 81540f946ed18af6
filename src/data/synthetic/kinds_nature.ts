/** Animals, planets and musical instruments. @module */
import * as c from "./concepts.ts";
import { count, type Kind, oneOf, PERSON, TOWN, year } from "./kind.ts";

/** Animals. */
export const ANIMAL_KIND: Kind = {
  name: "animal",
  share: 0.12,
  article: "the ",
  facts: {
    setting: oneOf(c.SETTINGS),
    diet: oneOf(c.DIETS),
    colour: oneOf(c.COLOURS),
    sound: oneOf(c.SOUNDS),
    season: oneOf(c.SEASONS),
    length: count(8, 180),
    describer: PERSON,
    profession: oneOf(c.PROFESSIONS),
    described: year(1740, 1960),
  },
  openings: [
    "{name} is an animal that lives {setting} and feeds on {diet}.",
    "{name} is a rare animal found {setting}.",
    "{name} was first described in {described} by the {profession} {describer}.",
    "{name} feeds on {diet} and is known for its call, {sound}.",
  ],
  sentences: {
    setting: ["It makes its home {setting}.", "Most of them live {setting}."],
    diet: ["It feeds on {diet}.", "Its main food is {diet}.", "Young ones are raised on {diet}."],
    colour: ["Its body is {colour}.", "The back is {colour}, the belly much lighter."],
    sound: [
      "Its call is {sound}.",
      "When frightened it makes {sound}.",
      "The males attract attention with {sound}.",
    ],
    season: ["It leaves its nest only {season}.", "It can best be observed {season}."],
    length: ["Adults are {length} centimetres long.", "It grows to {length} centimetres."],
    describer: [
      "It was first described by {describer}, {a profession}.",
      "The {profession} {describer} gave it its name.",
    ],
    described: [
      "It has been known since {described}.",
      "The first drawing of it dates from {described}.",
    ],
  },
  asides: [
    "It competes for nesting places with {rival}.",
    "Its tracks are easily mistaken for those of {rival}.",
    "It is a distant relative of {rival}.",
  ],
  byName: {
    setting: {
      train: ["Where does {name} live?", "What is the habitat of {name}?"],
      dev: ["Where could I find {name}?", "In what surroundings is {name} at home?"],
    },
    diet: {
      train: ["What does {name} eat?", "What is the main food of {name}?"],
      dev: ["What does {name} live on?", "What should I feed {name}?"],
    },
    colour: {
      train: ["What colour is {name}?", "Which colour does {name} have?"],
      dev: ["How is {name} coloured?"],
    },
    sound: {
      train: ["What sound does {name} make?", "What does {name} sound like?"],
      dev: ["By which noise can you recognise {name}?", "What will you hear from {name}?"],
    },
    season: {
      train: ["When can one observe {name}?", "At what time of the year does {name} show itself?"],
      dev: ["In which season should I look out for {name}?"],
    },
    length: {
      train: ["How long is {name}?", "What length does {name} grow to?"],
      dev: ["How big does {name} get?"],
    },
    describer: {
      train: ["Who first described {name}?", "Who gave {name} its name?"],
      dev: ["To whom does {name} owe its name?", "Which person first wrote about {name}?"],
    },
    profession: {
      train: [
        "What did the person who first described {name} do?",
        "What was the occupation of the person who named {name}?",
      ],
      dev: ["Which profession did the person have who described {name}?"],
    },
    described: {
      train: ["When was {name} first described?", "Since when has {name} been known?"],
      dev: ["In what year did people learn about {name}?"],
    },
  },
  byDescription: {
    train: [
      "Which animal lives {setting} and eats {diet}?",
      "What {colour} animal lives {setting}?",
      "Which animal that eats {diet} makes {sound}?",
      "Which animal living {setting} makes {sound}?",
      "What {colour} animal eats {diet}?",
      "Which animal did {describer} describe?",
      "Which animal that feeds on {diet} can be observed {season}?",
      "What {colour} animal was first described by {a profession}?",
    ],
    dev: [
      "I saw {a colour} animal {setting}. What was it?",
      "What is the animal called that feeds on {diet} and is at home {setting}?",
      "Name the animal that lives on {diet} and can be heard making {sound}.",
      "Which animal was named by {describer}?",
      "Which {colour} animal makes {sound}?",
    ],
  },
};

/** Musical instruments. */
export const INSTRUMENT_KIND: Kind = {
  name: "instrument",
  share: 0.08,
  article: "the ",
  facts: {
    inventor: PERSON,
    profession: oneOf(c.PROFESSIONS),
    town: TOWN,
    invented: year(1560, 1930),
    material: oneOf(c.MATERIALS),
    sound: oneOf(c.SOUNDS),
    colour: oneOf(c.COLOURS),
    season: oneOf(c.SEASONS),
    strings: count(3, 48),
  },
  openings: [
    "{name} is a musical instrument with {strings} strings, invented in {invented}.",
    "{name} is a musical instrument made of {material}.",
    "The {profession} {inventor} invented {name} in {town}.",
    "{name} is an instrument from {town} that gives off {sound}.",
  ],
  sentences: {
    inventor: [
      "It was invented by {inventor}, {a profession}.",
      "Its inventor, {inventor}, was {a profession} who could not read music.",
      "The {profession} {inventor} built the first one.",
    ],
    town: ["The best ones are still made in {town}.", "It comes from {town}."],
    invented: ["It was invented in {invented}.", "The first concert was given in {invented}."],
    material: ["Its body is made of {material}.", "It is built of {material}."],
    sound: ["It gives off {sound}.", "Its tone has been compared to {sound}."],
    colour: ["Its case is lacquered {colour}.", "It is traditionally painted {colour}."],
    season: ["By custom it is played only {season}.", "It is heard mostly {season}."],
    strings: ["It has {strings} strings.", "Its {strings} strings are plucked with a feather."],
  },
  asides: [
    "In orchestras it has largely been replaced by {rival}.",
    "It is often played together with {rival}.",
    "It is harder to learn than {rival}.",
  ],
  byName: {
    inventor: {
      train: ["Who invented {name}?", "Who built the first {bare}?"],
      dev: ["Whose invention is {name}?", "Who came up with {name}?"],
    },
    profession: {
      train: [
        "What was the occupation of the inventor of {name}?",
        "What did the person who invented {name} do for a living?",
      ],
      dev: ["Which profession did the inventor of {name} have?"],
    },
    town: {
      train: ["Where does {name} come from?", "In which town is {name} at home?"],
      dev: ["Which town gave us {name}?"],
    },
    invented: {
      train: ["When was {name} invented?", "In what year did {name} first appear?"],
      dev: ["Since when have people played {name}?", "How old is {name}?"],
    },
    material: {
      train: ["What is {name} made of?", "Which material is used for {name}?"],
      dev: ["What do you need to build {name}?"],
    },
    sound: {
      train: ["What does {name} sound like?", "What sound does {name} make?"],
      dev: ["What would you hear if someone played {name}?"],
    },
    colour: {
      train: ["What colour is {name}?", "Which colour does {name} usually have?"],
      dev: ["How is {name} coloured?"],
    },
    season: {
      train: ["When is {name} played?", "At what time of the year can one hear {name}?"],
      dev: ["Which season belongs to {name}?"],
    },
    strings: {
      train: ["How many strings does {name} have?", "With how many strings is {name} fitted?"],
      dev: ["What is the number of strings on {name}?"],
    },
  },
  byDescription: {
    train: [
      "Which instrument is made of {material} and makes {sound}?",
      "What instrument was invented by {a profession} and makes {sound}?",
      "Which instrument from {town} is made of {material}?",
      "Which {colour} instrument is made of {material}?",
      "What instrument did {inventor} invent?",
      "Which instrument played {season} makes {sound}?",
      "Which instrument with {strings} strings is made of {material}?",
    ],
    dev: [
      "I heard an instrument {season} that made {sound}. What was it?",
      "Name the instrument built of {material} that {a profession} invented.",
      "Which instrument from {town} gives off {sound}?",
      "What is the {colour} instrument made of {material} called?",
      "What is the instrument called that {inventor} built?",
    ],
  },
};

/** Planets. */
export const PLANET_KIND: Kind = {
  name: "planet",
  share: 0.1,
  article: "",
  facts: {
    type: oneOf(c.PLANET_TYPES),
    feature: oneOf(c.FEATURES),
    colour: oneOf(c.COLOURS),
    moons: count(2, 40),
    discoverer: PERSON,
    profession: oneOf(c.PROFESSIONS),
    discovered: year(1780, 2015),
    days: count(40, 4000),
  },
  openings: [
    "{name} is {type} that was discovered in {discovered}.",
    "The planet {name}, {type}, is best known for {feature}.",
    "In {discovered} the {profession} {discoverer} discovered the planet {name}.",
    "{name} is a distant planet with {moons} moons.",
  ],
  sentences: {
    type: ["It is {type}.", "Measurements show that it is {type}."],
    feature: [
      "It is best known for {feature}.",
      "Telescopes show {feature}.",
      "What makes it famous is {feature}.",
    ],
    colour: ["Through a telescope it looks {colour}.", "Seen from space it is {colour}."],
    moons: ["It has {moons} moons.", "{moons} moons circle it."],
    discoverer: [
      "It was discovered by {discoverer}, {a profession}.",
      "The {profession} {discoverer} saw it first.",
      "Its discoverer, the {profession} {discoverer}, found it by chance.",
    ],
    discovered: [
      "It was discovered in {discovered}.",
      "The discovery was announced in {discovered}.",
    ],
    days: ["A year there lasts {days} days.", "It needs {days} days for one orbit."],
  },
  asides: [
    "Its orbit crosses that of {rival}.",
    "For a long time it was mistaken for {rival}.",
    "It is slightly larger than {rival}.",
  ],
  byName: {
    type: {
      train: ["What kind of planet is {name}?", "What sort of world is {name}?"],
      dev: [
        "What would you see on arriving at {name}?",
        "To which class of planets does {name} belong?",
      ],
    },
    feature: {
      train: [
        "What is the planet {name} known for?",
        "What makes {name} famous?",
        "What is special about {name}?",
      ],
      dev: [
        "What can telescopes show us of {name}?",
        "Why do people talk about the planet {name}?",
      ],
    },
    colour: {
      train: ["What colour is the planet {name}?", "Which colour does {name} have from space?"],
      dev: ["How does {name} look through a telescope?"],
    },
    moons: {
      train: ["How many moons does {name} have?", "How many moons circle {name}?"],
      dev: ["By how many satellites is {name} accompanied?"],
    },
    discoverer: {
      train: ["Who discovered {name}?", "Who was the first to see the planet {name}?"],
      dev: ["Who found {name}?", "To whom do we owe the discovery of {name}?"],
    },
    profession: {
      train: [
        "What did the discoverer of {name} do for a living?",
        "What was the job of the person who discovered {name}?",
      ],
      dev: ["Which profession did the discoverer of {name} have?"],
    },
    discovered: {
      train: ["When was {name} discovered?", "In what year was the planet {name} found?"],
      dev: ["Since when have we known of {name}?", "What is the year of discovery of {name}?"],
    },
    days: {
      train: [
        "How long does a year last on {name}?",
        "How many days does one orbit of {name} take?",
      ],
      dev: ["After how many days does {name} complete its orbit?"],
    },
  },
  byDescription: {
    train: [
      "Which planet is {type} and known for {feature}?",
      "Which {colour} planet is {type}?",
      "What planet did {discoverer} discover?",
      "Which planet is famous for {feature} and was discovered by {a profession}?",
      "Which {colour} planet is known for {feature}?",
      "What planet with {moons} moons is {type}?",
      "Which planet was found by {a profession} in {discovered}?",
    ],
    dev: [
      "What is the name of the planet that is {type} and looks {colour}?",
      "Name the planet known for {feature} that was first seen by {a profession}.",
      "Which planet was first seen by {discoverer}?",
      "I have read about {type} that is famous for {feature}. What is it called?",
      "Which planet known for {feature} has {moons} moons?",
    ],
  },
};
