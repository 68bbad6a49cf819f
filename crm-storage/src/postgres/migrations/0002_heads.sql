-- The heads were put in with room beside each of them, about eighteen to a page. How full a page may be also
-- says when the server clears it of old versions: of a page that may be a tenth full, at nearly every visit, each
-- with a record in the log. At nine tenths it does so once in a hundred and more. The room stays as it is.
ALTER TABLE @.lane_head SET (fillfactor = 90);
