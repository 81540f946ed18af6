/** Towns and festivals. @module */
import * as c from "./concepts.ts";
import { count, type Kind, oneOf, PERSON, TOWN, year } from "./kind.ts";

/** Towns. */
export const TOWN_KIND: Kind = {
  name: "town",
  share: 0.16,
  article: "",
  facts: {
    founded: year(1080, 1790),
    founder: PERSON,
    profession: oneOf(c.PROFESSIONS),
    setting: oneOf(c.SETTINGS),
    craft: oneOf(c.CRAFTS),
    food: oneOf(c.FOODS),
    population: count(800, 90_000),
    event: oneOf(c.EVENTS),
    colour: oneOf(c.COLOURS),
  },
  openings: [
    "{name} is a town {setting}, founded in {founded} by the {profession} {founder}.",
    "The town of {name} was founded in {founded} and lies {setting}.",
    "{name} is an old town {setting} with {population} inhabitants.",
    "In {founded} the {profession} {founder} founded {name}, a town {setting}.",
    "{name} is a town that has lived from {craft} ever since it was founded in {founded}.",
  ],
  sentences: {
    founded: [
      "It was founded in {founded}.",
      "The oldest house still standing dates from {founded}, the year of the foundation.",
    ],
    founder: [
      "Its founder was the {profession} {founder}.",
      "A street is named after {founder}, the {profession} who laid the first stone.",
      "It was founded by {founder}, {a profession} who wanted to settle down.",
    ],
    setting: ["It lies {setting}.", "The old quarter was built {setting}."],
    craft: [
      "Its people are known for {craft}.",
      "For centuries the main trade has been {craft}.",
      "Every second family lives from {craft}.",
    ],
    food: [
      "Visitors come for the local speciality, {food}.",
      "The inns around the market square serve {food}.",
      "No wedding here is complete without {food}.",
    ],
    population: [
      "At the last census {population} people lived there.",
      "It has {population} inhabitants.",
    ],
    event: [
      "The worst year in its history was brought by {event}, after which half the town was rebuilt.",
      "Much of the old centre was lost to {event}.",
      "A stone by the gate recalls {event} that nearly emptied the streets.",
    ],
    colour: [
      "By an old rule all doors are painted {colour}.",
      "The roofs are {colour}, which makes the place easy to spot from afar.",
    ],
  },
  asides: [
    "A road leads from here to {rival}.",
    "Every summer a team from {rival} comes to play football.",
    "Letters meant for it often end up in {rival}.",
  ],
  byName: {
    founded: {
      train: [
        "When was {name} founded?",
        "In which year was the town of {name} established?",
        "Which year does {name} date back to?",
      ],
      dev: [
        "What is the founding year of {name}?",
        "Since when has there been a town called {name}?",
      ],
    },
    founder: {
      train: [
        "Who founded {name}?",
        "Which person established the town of {name}?",
        "Who is the founder of {name}?",
      ],
      dev: ["Whom does {name} owe its existence to?", "By whom was {name} started?"],
    },
    profession: {
      train: [
        "What did the founder of {name} do for a living?",
        "What was the occupation of the person who founded {name}?",
      ],
      dev: ["Which profession did the founder of {name} have?"],
    },
    setting: {
      train: [
        "Where does {name} lie?",
        "In what surroundings was {name} built?",
        "What is the landscape around {name} like?",
      ],
      dev: ["Where would you find the town of {name}?", "What surrounds {name}?"],
    },
    craft: {
      train: [
        "What is {name} known for making?",
        "Which trade do the people of {name} live from?",
        "What do most families in {name} do?",
      ],
      dev: [
        "How do the townspeople of {name} earn their bread?",
        "Which craft made {name} famous?",
      ],
    },
    food: {
      train: [
        "What do people eat in {name}?",
        "What is the local speciality of {name}?",
        "What is served in the inns of {name}?",
      ],
      dev: [
        "Which treat should a visitor to {name} try?",
        "What will you be offered at a wedding in {name}?",
      ],
    },
    population: {
      train: ["How many people live in {name}?", "What is the population of {name}?"],
      dev: ["How large is {name}?", "How many inhabitants does {name} have?"],
    },
    event: {
      train: [
        "What disaster struck {name}?",
        "What destroyed much of {name}?",
        "Which misfortune befell {name}?",
      ],
      dev: ["Why did {name} have to be rebuilt?", "What was the darkest hour of {name}?"],
    },
    colour: {
      train: [
        "What colour do you see everywhere in {name}?",
        "Which colour is {name} recognised by?",
      ],
      dev: ["In which colour does {name} present itself to visitors?"],
    },
  },
  byDescription: {
    train: [
      "Which town known for {craft} lies {setting}?",
      "What is the town {setting} where people live from {craft}?",
      "Which town {setting} was founded by {a profession}?",
      "Which town was founded by {founder}?",
      "In which town can you eat {food} and hear about {event}?",
      "What town with {colour} houses is known for {craft}?",
      "Which town {setting} was ruined by {event}?",
      "What town founded by {a profession} serves {food}?",
      "Which town founded in {founded} lives from {craft}?",
      "In which town do people practise {craft} and eat {food}?",
    ],
    dev: [
      "I am looking for a town {setting} that is famous for {craft}. What is it called?",
      "Where did {founder} lay the first stone?",
      "Name the town {setting} whose founder was {a profession}.",
      "What is the name of the town that survived {event} and offers its guests {food}?",
      "Which town has {colour} buildings and lies {setting}?",
      "What is the town called that goes back to {founded} and serves {food}?",
    ],
  },
};

/** Festivals. */
export const FESTIVAL_KIND: Kind = {
  name: "festival",
  share: 0.13,
  article: "the ",
  facts: {
    town: TOWN,
    season: oneOf(c.SEASONS),
    craft: oneOf(c.CRAFTS),
    food: oneOf(c.FOODS),
    first: year(1650, 1990),
    event: oneOf(c.EVENTS),
    colour: oneOf(c.COLOURS),
    material: oneOf(c.MATERIALS),
    visitors: count(200, 40_000),
  },
  openings: [
    "{name} is a festival held {season} in {town}.",
    "{name} takes place in {town} {season} and is devoted to {craft}.",
    "{name} was first celebrated in {first} in {town}.",
    "Since {first} {name} has been held every year {season}.",
  ],
  sentences: {
    town: ["It is held in the streets of {town}.", "The whole of {town} takes part."],
    season: ["It begins {season}.", "The people gather {season}, whatever the weather."],
    craft: ["It honours the old trade of {craft}.", "Contests in {craft} draw the largest crowds."],
    food: [
      "The stalls sell {food}.",
      "Everyone who comes is given {food}.",
      "The opening meal has always been {food}.",
    ],
    first: ["It was first held in {first}.", "The first one, in {first}, was a small affair."],
    event: [
      "It has been called off only once, because of {event}.",
      "Nothing could ever stop it, except {event} a century ago.",
    ],
    colour: ["The dancers dress in {colour} costumes.", "Flags and costumes are {colour}."],
    material: [
      "The winner receives a cup made of {material}.",
      "The parade carries a great wheel of {material}.",
    ],
    visitors: ["About {visitors} people come each year.", "Last time it had {visitors} visitors."],
  },
  asides: [
    "Some guests travel on to {rival}.",
    "It borrowed its closing song from {rival}.",
    "A friendly rivalry links it with {rival}.",
  ],
  byName: {
    season: {
      train: [
        "When does {name} take place?",
        "At what time of the year is {name} held?",
        "When do people celebrate {name}?",
      ],
      dev: ["When should I travel to see {name}?", "What is the season of {name}?"],
    },
    craft: {
      train: [
        "Which trade does {name} honour?",
        "What is celebrated at {name}?",
        "What skill is shown at {name}?",
      ],
      dev: ["Which craft is {name} about?", "To what old occupation is {name} devoted?"],
    },
    food: {
      train: ["What do people eat or drink at {name}?", "What is sold at the stalls of {name}?"],
      dev: ["What refreshment awaits the guests of {name}?"],
    },
    first: {
      train: [
        "When was {name} first held?",
        "In what year did {name} begin?",
        "How old is {name}?",
      ],
      dev: ["Which year saw the very first {bare}?", "Since when has {name} existed?"],
    },
    event: {
      train: [
        "Which misfortune is part of the history of {name}?",
        "What disaster is linked to {name}?",
      ],
      dev: ["What catastrophe do people at {name} remember?"],
    },
    colour: {
      train: ["What colour are the costumes at {name}?", "Which colour do dancers at {name} wear?"],
      dev: ["How are the performers of {name} dressed?"],
    },
    material: {
      train: [
        "What material is shown with pride at {name}?",
        "What is the showpiece of {name} made of?",
      ],
      dev: ["Of which material is the famous object at {name}?"],
    },
    visitors: {
      train: ["How many people visit {name}?", "How many guests come to {name}?"],
      dev: ["How large is the crowd at {name}?"],
    },
  },
  byDescription: {
    train: [
      "Which festival in {town} is held {season}?",
      "What festival celebrates {craft} {season}?",
      "Which festival is about {craft} and offers {food}?",
      "At which festival do dancers wear {colour} costumes and eat {food}?",
      "What festival held {season} was once prevented by {event}?",
      "Which festival began in {first} and is held {season}?",
      "What festival in {town} has {colour} costumes?",
      "At which festival {season} will you see something made of {material}?",
    ],
    dev: [
      "What is the name of the festival people celebrate in {town} {season}?",
      "I want to visit a festival devoted to {craft} that takes place {season}. Which one?",
      "At which festival do dancers in {colour} clothes perform {season}?",
      "Name the festival in {town} at which visitors are served {food}.",
      "Which celebration, first held in {first}, shows off {craft}?",
    ],
  },
};
