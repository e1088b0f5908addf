"""Parts of EnVLF and CFITR and the lines that compute them.

Rows as in `test_equations`: paper, equation or part, file, pattern of a line.
EnVLF's abstract gives no equation; CFITR's are those of the released code.
"""

ENVLF, CFITR = "models/envlf.py", "models/cfitr.py"
RERANK, STAGES = "retrieval/rerank.py", "retrieval/two_stage.py"

EQUATIONS = [
    ("EnVLF", "vision", ENVLF, r"tokens = self\.norm\(x\)  # vision"),
    ("EnVLF", "language", ENVLF, r"\"text_tokens\": .*# language"),
    ("EnVLF", "score", ENVLF, r"images\[\"v\"\] @ texts\[\"t\"\]\.T  # cos\(v, t\)"),
    ("EnVLF", "multi-modal encoder", ENVLF, r"self\.cross\(y, tokens.*# read"),
    ("EnVLF", "match", ENVLF, r"self\.match\(read\[:, 0\]\).*# match"),
    ("EnVLF", "contrastive", ENVLF, r"loss = contrastive\(scores, .*"),
    ("EnVLF", "matching", ENVLF, r"F\.binary_cross_entropy_with_logits\("),
    ("EnVLF", "masked words", ENVLF, r"F\.cross_entropy\(logits\.float\(\), answer"),
    ("CFITR", "lower blocks", CFITR, r"x = through\(self\.lower, x\)"),
    ("CFITR", "LFEM", CFITR, r"self\.relu\(maps \+ self\.net\(maps\)\)  # LFEM"),
    ("CFITR", "pool", CFITR, r"z = self\.over\[side\]\(.*\.tanh\(\)"),
    ("CFITR", "h", CFITR, r"self\.head\[side\]\(self\.drop\(z\)\)  # h"),
    ("CFITR", "code", CFITR, r"torch\.where\(h\.detach\(\) > 0, 1\.0, -1\.0\)"),
    ("CFITR", "Hamming", CFITR, r"\(one @ other\.T - one\.shape\[1\]\) / 2"),
    ("CFITR", "L_tri", CFITR, r"triplet_loss\(scores, positive\)}  # L_tri"),
    ("CFITR", "L_quant", CFITR, r"quant\.mean\(\),  # L_quant"),
    ("CFITR", "L_bal", CFITR, r"bal\.mean\(\),  # L_bal"),
    ("CFITR", "B", CFITR, r"\(h_i \+ h_t\)\.detach\(\)\.sign\(\)"),
    ("CFITR", "SSM", CFITR, r"self\.rank\(self\.pooler\(x\)\.tanh\(\)\)"),
    ("CFITR", "L_ssm", CFITR, r"self\.ssm_loss\(.*# L_ssm"),
    ("CFITR", "PPSR", RERANK, r"^def ppsr\("),
    ("CFITR", "top M", STAGES, r"^def short_pairs\("),
]
