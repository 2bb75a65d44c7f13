package io.tidemark.group;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tag.TagSpec;
import java.util.List;
import java.util.Locale;

/**
 * What somebody looks for among tags: each word, or part of one, must be in the name or in the
 * notes, in upper or lower case.
 *
 * @param words in lower case, 1 to {@link #WORDS_MAX}
 */
public record TagWords(List<String> words) {
  public static final int WORDS_MAX = 8;

  /** Of all words together with the spaces between them. */
  public static final int CHARS_MAX = 256;

  public TagWords {
    words = List.copyOf(words);
  }

  /**
   * @param text words with white space between them
   * @throws Refusal {@code INVALID} when there is none, {@code LIMIT} when they are too many or too
   *     long
   */
  public static TagWords parse(String text) {
    if (text.length() > CHARS_MAX) {
      throw tooMany();
    }
    List<String> words = List.of(text.strip().toLowerCase(Locale.ROOT).split("\\s+"));
    if (words.get(0).isEmpty()) {
      throw new Refusal(
          ErrorCode.INVALID, "there is no word to look for: give words of tags' names or notes");
    }
    if (words.size() > WORDS_MAX) {
      throw tooMany();
    }
    return new TagWords(words);
  }

  private static Refusal tooMany() {
    return new Refusal(
        ErrorCode.LIMIT,
        "tags are looked for by at most %d words with %d characters; give fewer"
            .formatted(WORDS_MAX, CHARS_MAX));
  }

  /** Whether it is one of those looked for. */
  public boolean in(TagSpec tag) {
    String text = (tag.name() + "\n" + tag.notes()).toLowerCase(Locale.ROOT);
    return words.stream().allMatch(text::contains);
  }
}
