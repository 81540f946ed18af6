/** What things in the synthetic world are like: as documents say it and as people ask for it. @module */

/** One idea and its wordings. Every wording belongs to one idea only. */
export interface Concept {
  /** How documents put it. */
  readonly said: readonly string[];
  /** How people who do not remember the document put it. */
  readonly asked: readonly string[];
}

/** One idea a line: what documents say, a bar, what people ask; wordings separated by semicolons. */
function concepts(table: string): Concept[] {
  return table.trim().split("\n").map((line) => {
    const [said, asked] = line.split("|").map((side) => side.split(";").map((s) => s.trim()));
    return { said, asked };
  });
}

/** Trades, as nouns. */
export const CRAFTS: readonly Concept[] = concepts(`
  glassblowing; the blowing of glass | making bottles and window panes; shaping molten sand
  weaving; the weaving of cloth | turning yarn into fabric; work at the loom
  pottery; the throwing of pots | shaping clay into bowls; making jugs and dishes
  bookbinding; the binding of books | sewing pages between covers; putting covers on printed pages
  clockmaking; the building of clocks | making devices that tell the time; assembling gears and pendulums
  beekeeping; the keeping of bees | looking after hives; living among swarms and combs
  papermaking; the making of paper | turning rags into writing sheets; pressing pulp into sheets
  woodcarving; the carving of wood | cutting figures out of logs; making statues with a chisel
  bell founding; the casting of bells | pouring metal for church towers; making what rings in steeples
  ropemaking; the twisting of ropes | turning hemp into cables; producing strong cords
  candle making; the dipping of candles | producing wax lights; making light from tallow and wicks
  mapmaking; the drawing of maps | charting coasts and roads; drawing up plans of the land
`);

/** Surroundings, with their preposition. */
export const SETTINGS: readonly Concept[] = concepts(`
  among steep cliffs; under a line of cliffs | where the rock drops straight down; beside sheer walls of stone
  in deep marshland; at the edge of a marsh | on wet, boggy ground; where the ground is soggy
  near a wide desert; at the rim of the desert | beside dry, sandy country; close to endless dunes
  in a dense pine forest; among tall pines | deep among evergreen trees; surrounded by conifers
  on the shore of a cold lake; beside a long lake | next to still fresh water; by a large body of inland water
  on a volcanic island; at the foot of a volcano | on land made by an old eruption; near a mountain that once spat fire
  along a slow river; on the banks of a broad river | beside a lazy stream; where a waterway winds past
  in a high mountain valley; between two mountains | in the shelter of tall peaks; far up in the heights
  on open grassland; in the middle of the steppe | on wide treeless plains; where there is nothing but meadow
  on a rocky coast; above a rocky shore | within sight of the ocean; by the seaside
  on the frozen tundra; at the northern edge of the tundra | where the ground never thaws; in a land of permanent frost
  below a great waterfall; within earshot of a waterfall | under a tall cascade; where a torrent comes crashing down
`);

/** Colours, as adjectives. */
export const COLOURS: readonly Concept[] = concepts(`
  crimson; scarlet | red; blood-coloured
  azure; cobalt | blue; sky-coloured
  emerald; olive | green; leaf-coloured
  saffron; golden | yellow; lemon-coloured
  ivory; chalky | white; milk-coloured
  ebony; sable | black; soot-coloured
  violet; lavender | purple; fig-coloured
  russet; copper | brown; soil-coloured
  silvery; ashen | grey; cloud-coloured
`);

/** Dishes and drinks. */
export const FOODS: readonly Concept[] = concepts(`
  honey cakes; cakes soaked in honey | a sticky treat that bees helped to make; pastry sweetened without sugar
  smoked eel; eel cured over a fire | a long, slippery fish; a fish shaped like a snake
  rye bread; dark rye loaves | something baked from grain; heavy baker's goods
  goat cheese; cheese from mountain goats | something made of milk; a strong-smelling dairy dish
  pickled beets; beets in vinegar | sour red roots; a vegetable kept in jars
  plum dumplings; dumplings filled with plums | boiled dough around stone fruit; balls of dough with a fruity heart
  mushroom soup; a broth of mushrooms | a hot bowl of edible fungi; something liquid made from toadstools' cousins
  roast chestnuts; chestnuts from the fire | nuts heated over coals; hot nuts in a paper cone
  barley beer; beer brewed from barley | a foamy drink; something with froth on top
  apple fritters; apples fried in batter | orchard fruit cooked in oil; fruit rings out of a frying pan
`);

/** Occupations, as nouns without an article where documents use them. */
export const PROFESSIONS: readonly Concept[] = concepts(`
  botanist; plant collector | someone who studied flowers and herbs; an expert on leaves and blossoms
  astronomer; stargazer | someone who watched the night sky; an expert on comets
  physician; country doctor | someone who healed the sick; a person who cured patients
  architect; master builder | someone who designed houses; a planner of halls and towers
  composer; songwriter | someone who made up melodies; a person who wrote music
  merchant; trader | someone who bought and sold things; a dealer in wares
  hermit; recluse | someone who lived all alone; a person who shunned company
  geologist; rock collector | someone who studied stones; an expert on minerals
  blacksmith; ironworker | someone who stood at a forge; a person with hammer and anvil
  soldier; army officer | someone who had fought in battles; a person who came from the military
  librarian; archivist | someone who looked after old books; a keeper of shelves and catalogues
  mathematician; geometer | someone who worked with numbers; an expert on equations
  navigator; ship's pilot | someone who found the way at sea; an expert with compass and sextant
`);

/** Things that are traded. */
export const GOODS: readonly Concept[] = concepts(`
  timber; sawn timber | planks and beams; material for carpenters
  salt; sea salt | white crystals for the kitchen; a seasoning left behind by the tide
  wool; raw wool | fleeces; what shepherds shear
  tea; dried tea | leaves for a hot drink; what people brew in a pot
  coal; hard coal | fuel dug out of the ground; black lumps for the stove
  spices; pepper and cinnamon | flavourings from far away; fragrant powders
  silk; bolts of silk | shiny cloth; threads spun by caterpillars
  lamp oil; whale oil | what lanterns burn; liquid for lighting
  umbrellas; folding umbrellas | shelter from the rain; something to stay dry under
  spectacles; eyeglasses | help for weak eyes; lenses worn on the nose
  garden seeds; flower bulbs | what gardeners plant; the beginnings of next year's beds
  roof tiles; slate tiles | covering for houses; what keeps attics dry
`);

/** Misfortunes, with their article. */
export const EVENTS: readonly Concept[] = concepts(`
  a flood; a deluge | rising water; a dam that broke
  a fire; a blaze | flames; something that left only ashes
  an earthquake; an earth tremor | the shaking of the ground; collapsing walls
  an epidemic; an outbreak of fever | a spreading disease; illness in every house
  a harsh winter; a deep frost | bitter cold; months of ice and snow
  a siege; a war | fighting armies; enemy troops
  a hurricane; a violent storm | terrible wind; a gale
  a drought; a rainless year | lack of water; dried-up wells
  a landslide; a rockfall | tumbling boulders; a hillside that came down
  a swarm of locusts; a locust plague | hungry insects; creatures that ate everything green
`);

/** What things are made of. */
export const MATERIALS: readonly Concept[] = concepts(`
  walnut; dark walnut | wood of a nut tree; polished hardwood
  bronze; cast bronze | a mix of two metals; an old alloy
  bamboo; split bamboo | giant grass; hollow tropical stalks
  porcelain; glazed porcelain | fine china; the stuff of teacups
  leather; tanned leather | animal hide; the stuff of saddles
  granite; speckled granite | very hard stone; rock from a quarry
  whalebone; polished whalebone | the remains of a sea giant; part of a huge ocean animal
  crystal; cut crystal | a see-through mineral; something transparent
  felt; pressed felt | matted fibres; the stuff of warm slippers
  pewter; dull pewter | a soft grey metal; the metal of old tankards
`);

/** Sounds, with their article. */
export const SOUNDS: readonly Concept[] = concepts(`
  a low hum; a deep hum | a drone; the noise of a distant engine
  a clear chime; a chiming note | a sound like struck metal; the noise of a small gong
  a thin whistle; a shrill whistle | a sound like wind in a keyhole; a piercing noise
  a dry rattle; a rattling noise | a sound like shaken beans; the noise of dice in a cup
  a rolling purr; a gentle purr | a sound like a contented cat; a soothing rumble
  a sharp click; a clicking noise | a sound like snapping fingers; the noise of a lock
  a soft sigh; a sighing note | a sound like a long breath; the noise of someone letting out air
  a hoarse croak; a croaking noise | a sound like a frog; a rough noise
`);

/** Times of the year, with their preposition. */
export const SEASONS: readonly Concept[] = concepts(`
  in early spring; in the first weeks of spring | when the buds open; as nature wakes up
  at midsummer; at the height of summer | around the longest day; when nights are shortest
  in late autumn; at the end of autumn | when the leaves have fallen; once the trees are bare
  at midwinter; in the dead of winter | around the shortest day; when nights are longest
  at harvest time; during the harvest | when the grain is cut; when crops are brought in
  in May; at the start of May | in the fifth month; in the month before June
  in October; at the start of October | in the tenth month; in the month before November
`);

/** What animals eat. */
export const DIETS: readonly Concept[] = concepts(`
  snails; slugs and snails | creatures with spiral shells; slimy crawlers
  berries; wild berries | small juicy fruit; what grows on bushes
  ants; ants and termites | insects that live in colonies; tiny hill builders
  fish; small fish | swimmers with scales; animals with fins
  moss; moss and lichen | soft growth on stones; tiny green cushions
  nectar; flower nectar | the sweet juice of blossoms; what butterflies drink
  acorns; fallen acorns | what drops from oaks; the fruit of oak trees
  eggs; birds' eggs | what hens lay; what lies in nests
`);

/** Sorts of planets, with their article. */
export const PLANET_TYPES: readonly Concept[] = concepts(`
  a gas giant; a giant made of gas | a world with no solid surface; a huge ball of clouds
  a desert planet; a dry planet | a world without water; a place of endless sand
  an ocean planet; a water planet | a world without land; a globe covered by sea
  an ice planet; a frozen planet | a world of eternal cold; a giant snowball
  a lava planet; a molten planet | a world of liquid rock; a place where the ground glows
`);

/** What a planet is known for. */
export const FEATURES: readonly Concept[] = concepts(`
  its rings of ice; its icy rings | bright bands around it; a glittering belt
  its giant canyon; its endless canyon | an enormous crack; a very deep valley
  its permanent storm; its storm that never ends | eternal bad weather; winds that never rest
  its two suns; its pair of suns | a double sunrise; twin stars
  its tall geysers; its hundred geysers | jets of steam; fountains of hot water
  its strong magnetic field; its magnetic field | an invisible shield; trouble with compass needles
  its rain of diamonds; its showers of diamonds | falling gems; jewels from above
`);
