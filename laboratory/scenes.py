"""Plain descriptions of scenes: the everyday half of the text tower's training corpus.

Word lists and sentence frames; `scene` draws one scene, `describe` one caption. Nothing here is
data about any picture: the sentences only have to cover the words and the grammar that people use
in short captions.
"""

from __future__ import annotations

import random


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(item.split()) for item in text.split(",") if item.strip()))


ANIMALS = _list(
    """
    dog, cat, horse, cow, sheep, goat, pig, bird, eagle, owl, duck, swan, goose, chicken, rooster,
    parrot, penguin, pigeon, seagull, sparrow, robin, hummingbird, flamingo, peacock, heron, crow,
    kingfisher, woodpecker, lion, tiger, leopard, cheetah, elephant, giraffe, zebra, rhinoceros,
    hippo, bear, polar bear, panda, wolf, fox, deer, moose, rabbit, squirrel, hedgehog, mouse,
    rat, hamster, otter, beaver, raccoon, monkey, gorilla, kangaroo, koala, camel, donkey, llama,
    bison, buffalo, whale, dolphin, seal, shark, fish, goldfish, jellyfish, octopus, crab,
    lobster, starfish, coral, turtle, lizard, snake, crocodile, frog, chameleon, butterfly, bee,
    dragonfly, beetle, ladybug, spider, ant, snail, caterpillar, grasshopper, moth, puppy, kitten,
    lamb, calf, foal, golden retriever, husky, german shepherd, poodle, bulldog, siamese cat,
    tabby cat
    """
)
PEOPLE = _list(
    """
    man, woman, boy, girl, child, baby, old man, old woman, young man, young woman, couple,
    family, group of people, crowd, bride, groom, soldier, police officer, firefighter, doctor,
    nurse, farmer, fisherman, chef, waiter, musician, dancer, painter, photographer, student,
    teacher, businessman, tourist, hiker, climber, cyclist, runner, skier, surfer, snowboarder,
    skateboarder, football player, tennis player, swimmer, dog owner, street vendor, worker,
    driver, pilot, monk, king, actor, singer, guitarist, friends, two men, two women, three
    children, toddler
    """
)
PLANTS = _list(
    """
    tree, oak, pine tree, palm tree, willow, birch, cherry tree, apple tree, bush, hedge, flower,
    rose, tulip, sunflower, daisy, orchid, lily, lavender, poppy, dandelion, lotus, water lily,
    cactus, fern, moss, mushroom, ivy, leaf, autumn leaves, grass, wheat, corn field, bamboo,
    vine, cherry blossom, petals, seedling, bonsai
    """
)
THINGS = _list(
    """
    car, truck, bus, train, tram, bicycle, motorcycle, scooter, boat, sailboat, ship, canoe,
    kayak, airplane, helicopter, hot air balloon, tractor, taxi, van, fire truck, ambulance,
    locomotive, wheel, tire, engine, traffic light, road sign, street lamp, bench, chair,
    armchair, table, sofa, bed, desk, lamp, candle, mirror, clock, watch, vase, window, door,
    staircase, gate, fence, wall, roof, chimney, tower, bell, statue, sculpture, fountain, well,
    painting, poster, book, newspaper, letter, pen, pencil, map, globe, camera, telescope,
    microscope, phone, laptop, keyboard, computer, monitor, television, radio, headphones,
    speaker, guitar, piano, violin, drum, trumpet, flute, saxophone, ball, football, basketball,
    tennis racket, baseball bat, skateboard, surfboard, skis, sled, kite, toy, teddy bear, doll,
    balloon, umbrella, hat, cap, helmet, glasses, sunglasses, shoe, boots, glove, scarf, coat,
    jacket, dress, shirt, suit, tie, necklace, ring, crown, bag, backpack, suitcase, basket, box,
    bottle, cup, mug, glass of wine, plate, bowl, spoon, fork, knife, pot, pan, kettle, teapot,
    stove, oven, refrigerator, toaster, hammer, saw, screwdriver, axe, shovel, ladder, rope,
    chain, key, lock, coin, banknote, flag, sword, cannon, anchor, lantern, tent, campfire, broom,
    bucket, barrel, wheelchair, crane, excavator, solar panel, wind turbine, windmill, water mill,
    satellite dish, antenna, mailbox, fire hydrant, trash can, manhole, vending machine, pillow,
    blanket, carpet, curtain, towel, soap, toothbrush, comb, medicine, syringe, plastic bottle,
    cardboard box, yarn, fabric
    """
)
FOOD = _list(
    """
    apple, banana, orange, lemon, strawberry, blueberry, raspberry, cherry, grape, peach, pear,
    pineapple, watermelon, mango, tomato, potato, carrot, onion, garlic, cucumber, pepper, chili,
    broccoli, cabbage, lettuce, pumpkin, corn, beans, olives, nuts, bread, baguette, croissant,
    cake, cupcake, pie, cookie, donut, pancake, waffle, chocolate, ice cream, candy, honey,
    cheese, butter, egg, milk, coffee, tea, juice, beer, wine, cocktail, soup, salad, pizza,
    pasta, spaghetti, rice, noodles, sushi, burger, hot dog, sandwich, steak, sausage, bacon,
    fried chicken, salmon, shrimp, taco, curry, dumplings, spices, herbs
    """
)
PLACES = _list(
    """
    the street, a city, a big city, a small town, a village, a square, a market, a park, a garden,
    a playground, a forest, the woods, a jungle, a meadow, a field, a farm, a vineyard, an
    orchard, a hill, a mountain, the mountains, a valley, a canyon, a cliff, a cave, a volcano, a
    desert, the dunes, a beach, the coast, an island, the ocean, the sea, a bay, a harbor, a pier,
    a river, a lake, a pond, a waterfall, a stream, a swamp, a glacier, an iceberg, the sky, a
    road, a highway, a country road, a path, a trail, a bridge, a tunnel, a railway station, a
    subway station, an airport, a parking lot, a gas station, a bus stop, a crossroads, an alley,
    a courtyard, a house, a cottage, a cabin, a barn, an apartment building, a skyscraper, a
    castle, a palace, a church, a cathedral, a temple, a mosque, a monastery, ruins, a lighthouse,
    a museum, a library, a theater, a stadium, a gym, a swimming pool, a school, a classroom, an
    office, a hospital, a laboratory, a factory, a workshop, a warehouse, a shop, a supermarket, a
    restaurant, a cafe, a bar, a hotel, a kitchen, a living room, a bedroom, a bathroom, a
    hallway, a balcony, a terrace, a rooftop, a basement, a garage, a greenhouse, a zoo, an
    aquarium, a graveyard, a construction site, a ski slope, a golf course, a campsite, a rice
    terrace, a dam, a canal, a cornfield, a lavender field, a rain forest, a snow covered valley,
    a rocky shore, a wooden dock, a narrow street, a busy intersection, a quiet lake
    """
)
LANDMARKS = _list(
    """
    paris, london, rome, venice, berlin, new york, tokyo, shanghai, hong kong, dubai, istanbul,
    moscow, amsterdam, prague, barcelona, san francisco, sydney, cairo, rio de janeiro, india,
    china, japan, iceland, norway, switzerland, scotland, italy, the alps, the eiffel tower, the
    golden gate bridge, the great wall, the pyramids, the colosseum, big ben, the sahara, the
    arctic, the mediterranean, the grand canyon
    """
)
ADJECTIVES = _list(
    """
    small, big, large, tiny, huge, tall, long, short, old, ancient, young, new, modern, wooden,
    metal, stone, brick, glass, plastic, paper, leather, golden, silver, rusty, broken, empty,
    full, open, closed, round, square, beautiful, pretty, ugly, cute, lonely, happy, sad, sleepy,
    angry, wild, calm, quiet, busy, crowded, colorful, bright, dark, shiny, transparent, fluffy,
    furry, smooth, rough, wet, dry, hot, cold, frozen, fresh, ripe, green, red, blue, yellow,
    orange, purple, pink, brown, black, white, gray, striped, spotted, black and white, red and
    white, dusty, muddy, mossy, sunny, cloudy, misty, steep, narrow, wide, famous, abandoned,
    traditional, vintage, expensive
    """
)
ACTIONS = _list(
    """
    standing, sitting, walking, running, jumping, sleeping, eating, drinking, reading a book,
    playing guitar, singing, dancing, cooking, painting, riding a bicycle, riding a horse, driving
    a car, swimming, surfing, skiing, climbing, fishing, working, smiling, laughing, crying,
    talking on the phone, taking a photo, holding an umbrella, carrying a bag, wearing a hat,
    wearing a red jacket, looking at the camera, looking out of the window, playing football,
    playing with a dog, pushing a stroller, waiting for a train, crossing the street, shopping,
    feeding the birds, lying on the grass, rowing a boat, flying a kite, throwing a ball, watching
    the sunset, hiking, camping, praying
    """
)
ANIMAL_ACTIONS = _list(
    """
    running, sleeping, sitting, standing, lying down, eating, drinking water, playing, jumping,
    flying, swimming, looking at the camera, hunting, walking, resting, perched on a branch,
    grazing, hiding, yawning, catching a ball
    """
)
TIMES = _list(
    """
    at night, at sunset, at sunrise, at dawn, at dusk, in the morning, in the evening, at noon, in
    daylight, in spring, in summer, in autumn, in winter, on a sunny day, on a cloudy day, on a
    clear day, under a blue sky, under the stars, in the moonlight, after a storm, in golden
    light, in the distance, with clouds in the sky, by the water
    """
)
RELATIONS = _list(
    """
    next to, in front of, behind, on top of, under, near, with, and, beside, above, inside,
    leaning against, surrounded by
    """
)
SHOTS = _list(
    """
    photo, photograph, picture, image, close up, macro shot, portrait, snapshot, wide shot, aerial
    view, panorama, side view, black and white photo, old photo, silhouette, reflection, detail,
    view
    """
)
_OPENINGS = ("",) * 5 + ("there is ", "a photo of ", "a picture of ", "an image of ", "this is ")


def article(noun: str) -> str:
    """Put "a" or "an" before a singular noun phrase ("an old tree"); plurals stay bare."""
    last = noun.rsplit(" ", 1)[-1]
    plural = (last.endswith("s") and not last.endswith(("ss", "us", "bus"))) or last in (
        *("people", "children", "men", "women", "grass", "moss", "bread", "rice", "coffee", "tea"),
        *("milk", "butter", "honey", "wheat", "bamboo", "lavender", "ivy", "coral", "garlic"),
    )
    starts = noun.split(" ", 1)[0]
    if plural and starts not in ("group",):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def describe(rng: random.Random) -> str:
    """Draw one caption in lower case: a scene, in half of them after "a photo of" or the like."""
    return rng.choice(_OPENINGS) + scene(rng)


def scene(rng: random.Random) -> str:
    """Draw one scene in lower case, 1 to about 15 words ("a white horse grazing near a barn")."""
    one, frame = rng.choice, rng.random()

    def subject() -> str:
        noun = one(one((ANIMALS, PEOPLE, PLANTS, THINGS, THINGS, FOOD)))
        return article(f"{one(ADJECTIVES)} {noun}" if rng.random() < 0.4 else noun)

    def doer() -> str:
        noun, action = (
            (one(PEOPLE), one(ACTIONS))
            if rng.random() < 0.6
            else (one(ANIMALS), one(ANIMAL_ACTIONS))
        )
        noun = f"{one(ADJECTIVES)} {noun}" if rng.random() < 0.25 else noun
        return f"{article(noun)} {action}"

    def place() -> str:
        return one(PLACES) if rng.random() < 0.8 else one(LANDMARKS)

    def inside() -> str:
        return f"{one(('in', 'in', 'at', 'on', 'near'))} {place()}"

    if frame < 0.06:
        return one(
            one((ANIMALS, PEOPLE, PLANTS, THINGS, FOOD, PLACES, LANDMARKS, ADJECTIVES, ACTIONS))
        )
    if frame < 0.22:
        return subject()
    if frame < 0.38:
        return f"{subject()} {inside()}"
    if frame < 0.58:
        tail = one(("", f" {inside()}", f" {one(TIMES)}", f" {inside()} {one(TIMES)}"))
        return f"{doer()}{tail}"
    if frame < 0.72:
        return f"{subject()} {one(RELATIONS)} {subject()}"
    if frame < 0.84:
        return f"{place()} {one(TIMES)}"
    if frame < 0.92:
        return f"{article(one(SHOTS))} of {one((subject, doer, place))()}"
    return f"{doer()} {one(RELATIONS)} {subject()} {one(TIMES)}"
