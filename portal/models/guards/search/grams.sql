-- The grams by which these texts of a business are found, as hashes with the business as the seed: every three letters
-- that follow one another, and the first letter and the first two of each word behind "^". Case makes no difference.
-- Refuses nothing.
CREATE FUNCTION qist_grams(merchant bigint, texts text[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT hashtextextended(gram, merchant)), '{}')
    FROM unnest(texts) AS typed (words),
         LATERAL (SELECT lower(words COLLATE pg_c_utf8) AS words) AS small,
         LATERAL (
             SELECT substr(small.words, place, 3) FROM generate_series(1, length(small.words) - 2) AS place
             UNION ALL
             SELECT '^' || substr(word, 1, size)
             FROM regexp_split_to_table(small.words, '[^[:alnum:]]+') AS word,
                  generate_series(1, least(length(word), 2)) AS size
         ) AS part (gram)
$$;
