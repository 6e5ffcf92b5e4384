"""The words of instructions: how people call each degradation, and what they ask to be done.

Word lists for `laboratory.instructions`, written by hand. No text of another data set is in it.
"""

from __future__ import annotations

from dataclasses import dataclass


def listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(item.split()) for item in text.split(",") if item.strip()))


@dataclass(frozen=True)
class Names:
    """How one degradation is spoken of.

    `nouns`: "remove the ..."; `adjectives`: "it is too ..."; `better`: "make it ..."; `verbs`:
    "please ... it"; `doing`: "no ...", "some ..."; `gains`: "more ..."; `clauses` complain of it;
    `orders` are whole demands.
    """

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    doing: tuple[str, ...] = ()
    gains: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


def _names(**lists: str) -> Names:
    return Names(**{name: listed(text) for name, text in lists.items()})


NAMES: dict[str, Names] = {
    "motion-blurry": _names(
        nouns="""blur, motion blur, camera shake, hand shake, blurriness, movement blur, smearing,
            shake, unsharpness, softness, fuzziness, focus blur, blurring, motion trails, wobble""",
        adjectives="""blurry, blurred, blury, fuzzy, out of focus, shaky, smeared, unsharp, soft,
            motion blurred, not sharp, smudgy, unfocused, wobbly, defocused""",
        better="sharper, sharp, crisper, crisp, in focus, less soft, pin sharp, more focused",
        verbs="sharpen, deblur, de-blur, unblur, sharpen up, stabilise, refocus",
        doing="sharpening, deblurring, unblurring, blur removal, deblur",
        gains="sharpness, crispness, focus, definition",
        clauses="""my hand shook, my hands were shaking, the camera moved, i moved the camera, it
            was moving too fast, i missed the focus, the camera shook, i was shaking, the focus is
            off, the car was moving too fast, the autofocus failed, i shook the phone""",
        orders="fix the focus, correct the focus, undo the camera movement",
    ),
    "hazy": _names(
        nouns="""haze, fog, mist, smog, haziness, fogginess, smoke, dust haze, the veil of haze,
            foggy veil, morning mist, dense fog, milky veil, brume, vapour, thick fog""",
        adjectives="""hazy, foggy, misty, smoggy, milky, washed out by haze, covered in fog, smoky,
            shrouded in mist, veiled by fog, hidden by fog""",
        better="free of haze, fog free, haze free",
        verbs="dehaze, de-haze, defog, de-fog, dehaze",
        doing="dehazing, defogging, haze removal, fog removal, dehaze",
        clauses="""i can barely see the mountains through the fog, fog hides the hills, it was a
            foggy morning, the valley is hidden in mist, the smog covers the city, the fog rolled
            in, the haze washes out the colours, it was misty when i took it""",
        orders="clear the air, cut through the fog, see through the haze, lift the veil",
    ),
    "jpeg-compressed": _names(
        nouns="""jpeg artifacts, jpeg artefacts, compression artifacts, compression artefacts,
            jpeg blocks, compression, jpeg compression, blockiness, blocking artifacts, artefacts,
            artifacts, blocks, jpg artifacts, jpg compression, ringing, mosquito noise, squares,
            compression damage, pixelation, pixellation, jpeg noise, block pattern, block edges""",
        adjectives="""blocky, compressed, overcompressed, pixelated, pixellated, jpeg compressed,
            heavily compressed, full of squares, jpeggy""",
        better="less compressed, artifact free",
        verbs="deblock, de-block, decompress, dejpeg, de-jpeg, unpixelate",
        doing="deblocking, artifact removal, jpeg repair, artefact removal, jpeg cleanup",
        clauses="""it was compressed too much, it was saved as a bad jpeg, whatsapp compressed it,
            facebook ruined it with compression, there are little squares everywhere, i saved it
            as jpeg too often, the jpeg quality is low, messenger squeezed it to nothing, you can
            see the blocks""",
        orders="undo the compression, repair the jpeg, fix the jpg, clean up the jpeg",
    ),
    "low-light": _names(
        nouns="""darkness, low light, underexposure, dim light, dark, gloom, bad lighting, poor
            light, lack of light, dimness, bad exposure, night look, dark look""",
        adjectives="""dark, dim, underexposed, badly lit, poorly lit, gloomy, unlit, low light,
            under-exposed, nearly black, almost black, murky, pitch black, ill lit, dusky, black""",
        better="""brighter, bright, lighter, well lit, better lit, more visible, better exposed,
            light""",
        verbs="""brighten, lighten, brighten up, light up, illuminate, lighten up, relight,
            brighten, lift the exposure of, expose, brightening""",
        doing="""brightening, lightening, low light enhancement, relighting, exposure correction,
            light""",
        gains="light, brightness, exposure, illumination",
        clauses="""i forgot the flash, there was not enough light, the flash did not fire, i can
            hardly see anything, it was taken at night, i see nothing in it, the room was dark,
            there was no light, the lamp was off, you cannot see anything""",
        orders="""turn up the light, increase the brightness, raise the exposure, boost the
            brightness, fix the exposure, raise the brightness, turn the lights on, fix the
            lighting, correct the exposure, up the brightness, increase the exposure""",
    ),
    "noisy": _names(
        nouns="""noise, grain, image noise, film grain, graininess, speckles, speckle, iso noise,
            high iso noise, sensor noise, colour noise, color noise, chroma noise, luminance noise,
            noise pattern, dots, graininess, digital noise, salt and pepper noise, static""",
        adjectives="noisy, grainy, speckled, full of noise, full of grain, gritty, speckly",
        better="smoother, noise free, grain free, less speckled, cleaner of noise",
        verbs="denoise, de-noise, degrain, de-grain, despeckle, clean the noise of",
        doing="denoising, noise reduction, noise removal, degraining, denoise, nr",
        clauses="""i shot it at iso 12800, the iso was too high, i used a high iso, the sensor is
            noisy, there are coloured dots everywhere, there are speckles all over""",
        orders="reduce the noise, filter the noise, lower the noise",
    ),
    "raindrop": _names(
        nouns="""raindrops, drops, water drops, droplets, drops on the lens, drops on the glass,
            drops on the window, water droplets, raindrops on the lens, rain drops on the glass,
            water on the lens, water spots, beads of water, drops on the windscreen, raindrops on
            the window, drops of water, waterdrops, splashes on the lens, drops on the camera,
            drops on the windshield, wet spots on the lens, lens drops""",
        adjectives="""covered in drops, full of drops, covered with droplets, wet, dotted with
            drops, taken through a wet window""",
        clauses="""there is water on the lens, the lens got wet, my lens was wet, the window was
            wet, the glass has drops on it, water got on my camera, i shot through a wet
            windscreen, it is full of water drops, the lens has drops on it""",
        orders="""
            wipe the lens, clean the lens, dry the lens, wipe the window, clean the glass, wipe
            the drops off the glass, dry the glass, wipe the windscreen
        """,
        doing="raindrop removal, drop removal",
    ),
    "rainy": _names(
        nouns="""rain, rain streaks, rainfall, drizzle, downpour, heavy rain, streaks of rain,
            falling rain, rain lines, rain shower, pouring rain, shower, the rain streaks,
            rainstorm, streaks, lines of rain""",
        adjectives="rainy, full of rain, rain streaked, rained on, streaky with rain",
        better="dry, rain free",
        verbs="derain, de-rain",
        doing="deraining, rain removal, rain streak removal, derain",
        clauses="""it was raining, it rained, it was pouring, it rained cats and dogs, we got
            caught in the rain, it started to rain, it was raining when i took it, it was raining
            heavily, the rain came down, it is raining""",
        orders="make it stop raining, stop the rain, let it be dry, make it look dry",
    ),
    "shadowed": _names(
        nouns="""shadow, shadows, hard shadow, shade, cast shadow, dark shadow, shadow on the wall,
            my shadow, shadow of the tree, shadow of my hand, harsh shadows, shadow on her face,
            shadow on the page, shadow across the face, shadow of the camera, deep shadows""",
        adjectives="shadowed, shadowy, shaded, in shadow, in the shade, half in shadow",
        verbs="deshadow, de-shadow, unshadow",
        doing="shadow removal, deshadowing, deshadow",
        clauses="""the tree casts a shadow, there is a shadow on it, my head threw a shadow on the
            page, a shadow falls on her face, the shade covers half of it, the building throws a
            shadow, my hand was casting a shadow""",
        orders="lighten the shadow, lift the shadows, brighten the shadow, even out the shadow",
    ),
    "snowy": _names(
        nouns="""snow, snowflakes, falling snow, snowfall, flakes, flakes of snow, blizzard,
            snowstorm, heavy snow, snow flakes, white flakes, sleet""",
        adjectives="snowy, full of snow, full of flakes, full of snowflakes, snowed in",
        better="snow free",
        verbs="desnow, de-snow",
        doing="desnowing, snow removal, desnow",
        clauses="""it was snowing, it snowed, it started to snow, we were in a blizzard, it was
            snowing when i took it, it is snowing, flakes cover their faces, the snow fell""",
        orders="make it stop snowing, stop the snow",
    ),
    "uncompleted": _names(
        nouns="""holes, missing parts, gaps, missing area, missing pixels, missing pieces, hole,
            missing bits, blank areas, masked area, scratches, tears, scribbles, cracks, torn
            corner, missing region, empty spots, rips, masked parts, black mask, damaged areas""",
        adjectives="incomplete, torn, full of holes, scratched, with parts missing, unfinished",
        better="complete, whole, whole again",
        verbs="inpaint, complete, fill in, inpaint",
        doing="inpainting, completion, hole filling",
        clauses="""parts of it are missing, some pieces are missing, a corner is torn off,
            somebody scratched it, there is a hole in it, half of it is gone, someone scribbled on
            it, a part is cut out, bits of it are gone""",
        orders="""fill the holes, fill in the missing parts, fill in the gaps, patch the holes,
            close the gaps, patch it up, reconstruct the missing parts, complete the missing area,
            fill the blank areas""",
    ),
}
REMOVE = listed(
    """
        remove|, get rid of|, take|away, take away|, take out|, take|out, delete|, erase|, clear|,
        eliminate|, reduce|, clean up|, clean|, clear up|, get|out, lose|, fix|, kill|, drop|,
        repair|, strip out|, suppress|, correct|, filter out|, do away with|, wipe away|, wipe
        out|, cut out|, cut|, undo|, make|disappear, make|go away, make|vanish, get|off, wash
        away|, deal with|, lessen|, tone down|, take|off, edit out|, clean away|, throw out|,
        handle|, banish|, sort out|, ditch|, do something about|, work on|, leave out|, wipe off|,
        scrub|, dispose of|, take|out of it
    """
)
KEEP = listed(
    """
        keep|, leave|, leave|alone, leave|as it is, leave|in, preserve|, retain|, maintain|,
        keep|in, leave|untouched, don't touch|, do not touch|, don't remove|, do not remove|,
        don't take|away, don't take|out, don't change|, don't mess with|, please don't remove|,
        don't get rid of|, save|, never remove|, don't delete|, don't erase|, don't fix|, don't
        alter|, don't lose|, let|stay, without removing|, without touching|, without losing|,
        without changing|, not touching|, don't reduce|, hold on to|, spare|, respect|, leave|be,
        leave|where it is, stay away from|, don't clean|, keep your hands off|, stick with|,
        leave|the way it is, leave|behind, protect|, i like|, i love|, i want to keep|, i'd like
        to keep|, i want|to stay, i need|to stay, i enjoy|
    """
)
HAVE = listed(
    """no|, no more|, less|, without|, |please, too much|, there is|, there are|, i see|, it has|,
    i don't want|, i don't like|, i hate|, i want it without|, look at|, so much|, a lot of|,
    there's|, i can't stand|, not so much|, |, remove only|, get me rid of|"""
)
GONE = listed(
    """has to go, must go, should go, needs to go, should be removed, has to disappear, must be
    removed, is too much, bothers me, ruins it, spoils the picture, is annoying, is ugly, is
    terrible, must disappear, needs to be removed, can go, is awful, goes, out, needs fixing, is
    distracting, be gone, go away, hides everything, has to be removed, is horrible, away, off,
    should disappear, ruins the shot, is a problem, drives me mad, covers everything"""
)
STAYS = listed(
    """
        stays, should stay, must stay, has to stay, can stay, may stay, should remain, is fine, is
        ok, is intentional, is on purpose, is part of the mood, is meant to be there, is nice,
        remains, must remain, belongs there, in, is deliberate, is beautiful, should be left
        alone, looks good, should be kept, must not be removed, shouldn't be removed, should not
        be touched, is okay, has to remain, is wanted, is supposed to be there, needs to stay, is
        to stay, is important, is pretty
    """
)
WHOLE = listed(
    """
        fix it, fix this, restore it, restore this photo, restore this picture, clean it up, make
        it look good, make it better, improve it, improve the picture, enhance it, enhance this
        photo, repair it, make it nice, fix everything, repair everything, remove everything that
        is wrong, clean up this picture, improve the quality, do your best, do your magic, make it
        look better, fix all problems, fix my photo, make it pretty, do what is needed, do
        whatever it needs, fix the picture, fix whatever is wrong, improve the image quality,
        restore, enhance, fix, repair, clean, improve, remove all damage, remove all defects, make
        this picture look great, sort it out, restore the image, undo all the damage, help this
        picture, rescue it, save this photo, clean up my photo, touch it up, polish it, do what
        you think is best
    """
)
ALL_OF_IT = listed(
    """
        everything, all of it, all damage, all defects, all the rest, whatever you find, all
        problems, anything wrong, all that is wrong, the rest, everything else, all
    """
)
NOTHING_ELSE = listed(
    """
        nothing else, leave the rest alone, leave everything else, nothing more, don't change
        anything else, keep everything else, leave the rest as it is, the rest is fine, everything
        else is fine, keep the rest, the rest can stay, touch nothing else, don't touch anything
        else, the rest stays
    """
)
OTHER = listed(
    """
        make it black and white, convert it to grayscale, turn it into a painting, crop it, crop
        the left side, crop it square, upscale it, upscale it 2x, make it bigger, resize it to 800
        pixels, rotate it, flip it, mirror it, zoom in, make it darker, darken it, blur the
        background, blur the faces, make it blurrier, add contrast, more contrast, increase the
        contrast, more saturation, boost the colours, make the colors pop, change the white
        balance, make it warmer, make it cooler, fix the red eyes, whiten the teeth, smooth the
        skin, make me thinner, remove the background, remove the watermark, remove the text,
        remove the logo, remove the date stamp, add some rain, add fog, add snow, add some grain,
        add noise, add a shadow, add raindrops, compress it, make it foggy, make it rain, let it
        snow more, make it look old, make it sepia, apply a vintage filter, colourise it, colorize
        this old photo, make it look like a film, swap the faces, add a caption, write a caption,
        convert it to png, save it as a pdf, send it to my mother, print it, what is this, what
        time is it, how are you, tell me a joke, who are you, straighten the horizon, straighten
        it, correct the perspective, replace the sky, make the sky blue, change the background to
        a beach, draw a moustache on him, add a sunset, cartoonise it, make it anime, do something
        funny, make it three dimensional, make a panorama, stitch them, make it an hdr, lower the
        saturation, tint it green, invert the colours, vignette, frame it, put a border around it,
        make it smaller, reduce the file size, remove the wrinkles, open her eyes, make him smile,
        increase the resolution, super resolution, double the size, sing a song, hello, good
        morning, xyzzy, lorem ipsum dolor, blah blah, qwertz, hmm, cut out the person, remove the
        crowd
    """
)
COLOURS = listed("red, blue, green, yellow, purple, pink, white, black, golden, orange, brown")
OPENINGS = listed(
    """
        please, could you, can you, can you please, could you please, would you, i want you to, i
        would like you to, i need you to, try to, just, kindly, hi can you, hey, hello please,
        would you mind to, i'd like to, i want to, help me to, you should, now, ok now, pls, plz,
        can u, let's, maybe you can, is it possible to, may i ask you to, first, go ahead and, be
        so kind and, simply
    """
)
ENDINGS = listed(
    """
        please, thanks, thank you, pls, if possible, for me, asap, if you can, thank you so much,
        thx, cheers, ok, would you, will you, as well as you can, many thanks, completely,
        entirely, right now, as much as possible, when you can, can you, in this one, there, here,
        somehow, again, at last
    """
)
PLACES = listed(
    """
        in the background, in the foreground, on the left, on her face, in the sky, all over it,
        in front of the house, from the picture, from the photo, in this photo, in the image, on
        my picture, from this shot, behind them, around the trees, from my photograph, in the
        corner, everywhere, over the city, in the valley, in front of us, on the mountains, on the
        faces, of the scene, in the air
    """
)
REASONS = listed(
    """
        it sets the mood, i like it that way, it looks nice, i took it at home, i shot it on my
        phone, it is from my grandmother, it was a long day, we were on holiday, i need it for
        work, that's how it was, it is an old one, sorry, i hope you can, it means a lot to me,
        it's for a friend, that is the whole point, i took it yesterday, it's my favourite
        picture, that's the atmosphere, i am new to this, it is for my website, this is my wedding
    """
)
THINGS = listed(
    "it, the photo, this photo, the picture, my picture, this, the image, my shot, that"
)
