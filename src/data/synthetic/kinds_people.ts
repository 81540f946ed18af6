/** People, companies and ships. @module */
import * as c from "./concepts.ts";
import { count, type Kind, oneOf, PERSON, TOWN, year } from "./kind.ts";

/** People. */
export const PERSON_KIND: Kind = {
  name: "person",
  share: 0.18,
  article: "",
  facts: {
    born: year(1720, 1920),
    birthplace: TOWN,
    profession: oneOf(c.PROFESSIONS),
    event: oneOf(c.EVENTS),
    food: oneOf(c.FOODS),
    setting: oneOf(c.SETTINGS),
    craft: oneOf(c.CRAFTS),
    material: oneOf(c.MATERIALS),
    children: count(2, 14),
  },
  openings: [
    "{name} was {a profession} born in {birthplace} in {born}.",
    "Born in {birthplace}, {name} became known as {a profession}.",
    "{name}, born in {born}, was {a profession} who lived {setting}.",
    "{name} grew up in {birthplace} and learned {craft} before becoming {a profession}.",
  ],
  sentences: {
    born: ["{They} was born in {born}.", "{Their} year of birth is given as {born}."],
    birthplace: [
      "{They} was born in {birthplace}.",
      "{Their} parents kept a shop in {birthplace}.",
    ],
    event: [
      "As a child {they} survived {event}.",
      "{Their} family lost everything to {event}.",
      "{Their} diary describes {event} that {they} saw with {their} own eyes.",
    ],
    food: [
      "{They} was fond of {food}.",
      "It is said that {they} ate nothing but {food} on Sundays.",
      "Guests were offered {food}, which {they} loved above all.",
    ],
    setting: [
      "{They} spent the last years of {their} life {setting}.",
      "{Their} house stood {setting}.",
    ],
    craft: [
      "In {their} youth {they} learned {craft} from an aunt.",
      "{Their} other passion was {craft}.",
    ],
    material: [
      "{They} always carried a lucky charm made of {material}.",
      "{Their} desk held a strange lamp of {material}.",
    ],
    children: ["{They} had {children} children.", "{They} raised {children} children."],
  },
  asides: [
    "{They} exchanged letters with {rival} for many years.",
    "{They} never forgave {rival} for a bad review.",
    "{They} is sometimes mixed up with {rival}.",
  ],
  byName: {
    born: {
      train: ["When was {name} born?", "In which year was {name} born?"],
      dev: ["What is the birth year of {name}?", "When did {name} come into the world?"],
    },
    birthplace: {
      train: [
        "Where was {name} born?",
        "In which town did {name} grow up?",
        "What is the birthplace of {name}?",
      ],
      dev: ["Where did {name} come from?", "What is the home town of {name}?"],
    },
    profession: {
      train: ["What did {name} do for a living?", "What was the occupation of {name}?"],
      dev: ["As what did {name} become known?", "Which profession did {name} have?"],
    },
    event: {
      train: [
        "Which disaster did {name} live through?",
        "What misfortune marked the life of {name}?",
      ],
      dev: ["Which catastrophe did {name} experience?"],
    },
    food: {
      train: ["What did {name} like to eat or drink?", "What did {name} serve to guests?"],
      dev: ["What was the favourite refreshment of {name}?"],
    },
    setting: {
      train: ["Where did {name} live?", "In what kind of place did {name} have a house?"],
      dev: ["In which surroundings did {name} make a home?"],
    },
    craft: {
      train: ["Which craft did {name} learn?", "What could {name} make by hand?"],
      dev: ["Besides a profession, what did {name} enjoy doing?"],
    },
    material: {
      train: [
        "What was the favourite object of {name} made of?",
        "Which material did {name} keep close?",
      ],
      dev: ["Of which material was the curious thing that {name} owned?"],
    },
    children: {
      train: [
        "How many children did {name} have?",
        "How many sons and daughters did {name} raise?",
      ],
      dev: ["How large was the family of {name}?"],
    },
  },
  byDescription: {
    train: [
      "Who was born in {birthplace} and became {a profession}?",
      "Which person who was {a profession} lived {setting}?",
      "Who was {a profession} and fond of {food}?",
      "Who was {a profession} and lived through {event}?",
      "Which person learned {craft} and became {a profession}?",
      "Who came from {birthplace} and liked {food}?",
      "Who lived {setting} and treasured something made of {material}?",
      "Who was born in {born} and became {a profession}?",
    ],
    dev: [
      "What was the name of the person from {birthplace} who was {a profession}?",
      "I remember {a profession} who had a house {setting}. Who was it?",
      "Name the person who survived {event} and loved {food}.",
      "Who practised {craft} and came from {birthplace}?",
      "Who, born in {born}, lived {setting}?",
      "Which person, {a profession}, owned something made of {material}?",
    ],
  },
};

/** Companies. */
export const COMPANY_KIND: Kind = {
  name: "company",
  share: 0.14,
  article: "",
  facts: {
    founded: year(1790, 1985),
    founder: PERSON,
    profession: oneOf(c.PROFESSIONS),
    town: TOWN,
    goods: oneOf(c.GOODS),
    event: oneOf(c.EVENTS),
    colour: oneOf(c.COLOURS),
    setting: oneOf(c.SETTINGS),
    employees: count(6, 900),
  },
  openings: [
    "{name} is a company that deals in {goods} and was founded in {founded}.",
    "{name} has sold {goods} since {founded}.",
    "The company {name} was set up in {town} by the {profession} {founder}.",
    "{name} is a family business in {town} that trades in {goods}.",
  ],
  sentences: {
    founded: ["It was founded in {founded}.", "The first contract was signed in {founded}."],
    founder: [
      "Its founder, {founder}, had been {a profession}.",
      "It was started by the {profession} {founder}.",
      "A portrait of the {profession} {founder}, who founded it, hangs in the hall.",
    ],
    town: ["Its head office is in {town}.", "It employs half of {town}."],
    goods: ["It trades in {goods}.", "Most of its income comes from {goods}."],
    event: [
      "It was almost ruined by {event}.",
      "The first storehouse was lost to {event}.",
      "Only luck saved it from {event}.",
    ],
    colour: ["All staff wear {colour} caps.", "Its carts have always been painted {colour}."],
    setting: ["Its storehouse stands {setting}.", "A second branch was opened {setting}."],
    employees: ["It has {employees} employees.", "Today {employees} people work there."],
  },
  asides: [
    "Its fiercest competitor is {rival}.",
    "It once tried to buy {rival}.",
    "Several managers came from {rival}.",
  ],
  byName: {
    founded: {
      train: ["When was {name} founded?", "In which year was the company {name} set up?"],
      dev: ["Since when has {name} been in business?", "What is the founding year of {name}?"],
    },
    founder: {
      train: ["Who founded {name}?", "Who set up the company {name}?"],
      dev: ["By whom was {name} started?", "Whose idea was {name}?"],
    },
    profession: {
      train: [
        "What had the founder of {name} been before?",
        "What was the occupation of the founder of {name}?",
      ],
      dev: ["Which profession did the founder of {name} have?"],
    },
    town: {
      train: ["Where is {name} based?", "In which town is the company {name}?"],
      dev: ["Where does {name} have its seat?", "Which town is home to {name}?"],
    },
    goods: {
      train: [
        "What does {name} sell?",
        "What does the company {name} trade in?",
        "Which goods made {name} rich?",
      ],
      dev: ["What can you buy from {name}?", "What is the business of {name}?"],
    },
    event: {
      train: ["What nearly ended {name}?", "Which disaster hit the company {name}?"],
      dev: ["What brought {name} to the brink of ruin?"],
    },
    colour: {
      train: ["What colour is {name} recognised by?", "Which colour does the company {name} use?"],
      dev: ["In which colour does {name} show itself?"],
    },
    setting: {
      train: [
        "In what surroundings does {name} have a building?",
        "What kind of landscape did {name} choose for a building?",
      ],
      dev: ["In what sort of place did {name} build?"],
    },
    employees: {
      train: ["How many people work for {name}?", "How many employees does {name} have?"],
      dev: ["How large is the staff of {name}?"],
    },
  },
  byDescription: {
    train: [
      "Which company in {town} sells {goods}?",
      "What company dealing in {goods} was founded by {a profession}?",
      "Which company that trades in {goods} was hit by {event}?",
      "Which firm uses the colour {colour} and sells {goods}?",
      "Which company was founded by {founder}?",
      "What company founded by {a profession} has a building {setting}?",
      "Which company has sold {goods} since {founded}?",
      "Which firm in {town} was started by {a profession}?",
    ],
    dev: [
      "From which business in {town} could I order {goods}?",
      "Name the company that {a profession} founded to deal in {goods}.",
      "What is the name of the firm that barely survived {event} and sells {goods}?",
      "Which business did {founder} start?",
      "Which company with {a colour} look has a building {setting}?",
    ],
  },
};

/** Ships. */
export const SHIP_KIND: Kind = {
  name: "ship",
  share: 0.09,
  article: "the ",
  facts: {
    launched: year(1760, 1935),
    town: TOWN,
    goods: oneOf(c.GOODS),
    captain: PERSON,
    event: oneOf(c.EVENTS),
    material: oneOf(c.MATERIALS),
    colour: oneOf(c.COLOURS),
    season: oneOf(c.SEASONS),
    crew: count(6, 120),
  },
  openings: [
    "{name} was a ship launched in {launched} to carry {goods}.",
    "{name} was a merchant ship owned by a family from {town}.",
    "Under Captain {captain} the ship {bare} carried {goods} across the ocean.",
    "Launched in {launched}, {name} was the pride of its captain, {captain}.",
  ],
  sentences: {
    launched: ["It was launched in {launched}.", "Work on the hull was finished in {launched}."],
    town: ["It was named by the mayor of {town}.", "Its owners lived in {town}."],
    goods: ["It carried {goods}.", "Its hold was usually full of {goods}."],
    captain: ["Its captain was {captain}.", "For twenty years {captain} commanded it."],
    event: [
      "It once lay idle for a year because of {event}.",
      "Its crew brought help to a harbour struck by {event}.",
    ],
    material: [
      "Its figurehead was made of {material}.",
      "The ship's wheel was a masterpiece of {material}.",
    ],
    colour: ["It was known for its {colour} sails.", "Its hull was painted {colour}."],
    season: ["It set out {season}.", "Each voyage began {season}."],
    crew: ["It had a crew of {crew}.", "{crew} sailors worked on board."],
  },
  asides: [
    "It once won a race against {rival}.",
    "In a fog it nearly ran into {rival}.",
    "Its bell was later given to {rival}.",
  ],
  byName: {
    launched: {
      train: ["When was {name} launched?", "In which year was the ship {bare} finished?"],
      dev: ["What is the launching year of {name}?", "Since when did {name} sail?"],
    },
    goods: {
      train: ["What did {name} carry?", "What was the cargo of {name}?"],
      dev: ["What was in the hold of {name}?", "What did {name} transport?"],
    },
    captain: {
      train: ["Who was the captain of {name}?", "Who commanded the ship {bare}?"],
      dev: ["Under whose command did {name} sail?", "Who was in charge aboard {name}?"],
    },
    event: {
      train: [
        "What disaster plays a part in the story of {name}?",
        "Which misfortune is linked to the ship {bare}?",
      ],
      dev: ["Which catastrophe concerned {name}?"],
    },
    material: {
      train: [
        "Which material was {name} adorned with?",
        "What was the finest piece aboard {name} made of?",
      ],
      dev: ["Of which material was the showpiece of {name}?"],
    },
    colour: {
      train: ["What colour was {name} known for?", "Which colour did the ship {bare} have?"],
      dev: ["By which colour could sailors recognise {name}?"],
    },
    season: {
      train: ["When did {name} set out?", "At what time of the year did {name} sail?"],
      dev: ["In which season did {name} leave harbour?"],
    },
    crew: {
      train: ["How many sailors worked on {name}?", "How large was the crew of {name}?"],
      dev: ["How many people did it take to sail {name}?"],
    },
  },
  byDescription: {
    train: [
      "Which ship carried {goods} and left {season}?",
      "What ship carrying {goods} was owned by people from {town}?",
      "Which ship did {captain} command?",
      "Which {colour} ship carried {goods}?",
      "Which ship had something made of {material} on board and sailed {season}?",
      "What ship launched in {launched} carried {goods}?",
      "Which ship known for its {colour} look is linked to {event}?",
    ],
    dev: [
      "What was the name of the ship that left harbour {season} loaded with {goods}?",
      "On which ship did {captain} sail?",
      "Name the ship with owners in {town} and a cargo of {goods}.",
      "Which {colour} ship boasted something made of {material}?",
      "Which ship carrying {goods} is linked to {event}?",
    ],
  },
};
